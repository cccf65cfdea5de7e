import { day, type Facts, hour, type Kinds } from './alert-kind.ts';
import { because, when } from './alert-words.ts';

/** What a machine that has, or wants to have, the credentials of a client does. */
export const machineKinds: Pick<
  Kinds,
  | 'fork'
  | 'hold'
  | 'fingerprint_changed'
  | 'presence_gap'
  | 'habit'
  | 'server_rollback_suspected'
  | 'source_refused'
  | 'lockout'
  | 'certificate_refused'
> = {
  fork: {
    severity: () => 'critical',
    // a locked client has to be reset before it can be found forked again
    same: ({ locked, now }) => (locked ? null : { cause: now.source ?? '', quiet: hour }),
    texts: ({ client, call, policy, locked, now, before }) => ({
      title: `two machines hold the credentials of ${client.name}`,
      happened:
        `A one-time link that was used up came back in a call to ${call}, so the state of ${client.name} exists twice: ` +
        `a copied disk or snapshot, or a backup that was restored. Now: ${sideText(now)}. ` +
        `Before: ${sideText(before)}, last release ${when(before.releasedAt)}.`,
      done: forkDone(locked, policy),
      todo:
        `Find out which machine is yours. If you restored a backup of it yourself, that is all. If not, take the other one ` +
        `off the network and look at how it was copied. Then: keyserver client reset ${client.name}`,
    }),
  },
  hold: {
    severity: () => 'warning',
    same: () => null,
    texts: ({ client, gate, approval, source, reason, page, lapsesAt }) => ({
      title: `${client.name} asks for its keys and waits for your yes`,
      happened: `A request from ${source} was held by the gate ${gate}${because(reason)}.`,
      done: `Nothing is released until you decide; without an answer it is denied at ${when(lapsesAt)}.`,
      todo: `${page === null ? '' : `Decide at ${page}, or: `}keyserver approval approve ${approval} (or approval deny ${approval}).`,
    }),
  },
  fingerprint_changed: {
    severity: ({ outcome }) => (outcome === 'alerted' ? 'warning' : 'critical'),
    same: ({ is }) => ({ cause: is ?? '', quiet: hour }),
    texts: ({ client, source, was, is, outcome }) => ({
      title: `the machine of ${client.name} looks different`,
      happened: `A request from ${source} came with another machine fingerprint: ${short(is)} instead of ${short(was)}.`,
      done: outcomeText(outcome),
      todo: 'New hardware, a move to another host or a new network card explain it. If there was none, treat it as a copy: keyserver kill, and look at the machine.',
    }),
  },
  presence_gap: {
    severity: ({ outcome, fault }) => (outcome === 'alerted' && fault === 'server' ? 'info' : 'warning'),
    // a client that never sent a heartbeat is met at each fetch
    same: ({ from }) => ({ cause: String(from), quiet: from === null ? day : hour }),
    texts: ({ client, source, from, to, fault, outcome }) => ({
      title: `${client.name} was away and asks for its keys again`,
      happened:
        `${from === null ? `There was no heartbeat before ${when(to)}` : `No heartbeat came from ${when(from)} to ${when(to)}`}; ` +
        `then a request came from ${source}. ` +
        (fault === 'server'
          ? 'This key server or its line was down in that time.'
          : 'A machine that is off can be copied.'),
      done: outcomeText(outcome),
      todo: 'If you know why it was away (a reboot, a power cut, maintenance), nothing. If not, find out who had the machine in that time.',
    }),
  },
  habit: {
    severity: ({ outcome }) => (outcome === 'alerted' ? 'info' : 'warning'),
    same: ({ reason }) => ({ cause: reason, quiet: hour }),
    texts: ({ client, source, reason, outcome }) => ({
      title: `${client.name} asks for its keys in an unusual way`,
      happened: `A request from ${source} does not fit what is usual for it: ${reason}.`,
      done: outcomeText(outcome),
      todo: 'Maintenance, a restart of the web server or an emptied cache explain it. If there was none, look at the machine.',
    }),
  },
  server_rollback_suspected: {
    severity: () => 'critical',
    same: () => ({ cause: '', quiet: hour }),
    texts: ({ client, source, seen, head }) => ({
      title: 'this key server seems to have been set back',
      happened:
        `${client.name}, asking from ${source}, remembers audit record ${seen}; this server's log is at ${head} and does not hold ` +
        'that record. Revocations and spent links after it are undone.',
      done: 'It was recorded. Nothing was stopped: only you know whether a backup was restored.',
      todo: 'If you restored a backup: revoke again what you had revoked since, and reset the clients that show up as forked. If not, somebody put an old copy in place: keyserver kill, then find out who.',
    }),
  },
  source_refused: {
    severity: () => 'warning',
    same: ({ source }) => ({ cause: source, quiet: hour }),
    texts: ({ client, source, call }) => ({
      title: `${client.name} was asked for from a wrong address`,
      happened: `A call to ${call} in the name of ${client.name} came from ${source}, which is not in its networks.`,
      done: 'It was refused.',
      todo: `If the machine has a new address: keyserver client policy ${client.name} --from CIDR. If not, somebody else inside the tunnel knows its id.`,
    }),
  },
  lockout: {
    severity: () => 'warning',
    same: ({ source }) => ({ cause: source, quiet: hour }),
    texts: ({ client, source, call }) => ({
      title: `wrong credentials again and again${client === null ? '' : ` for ${client.name}`}`,
      happened: `Calls to ${call} from ${source} brought wrong credentials several times in a row.`,
      done: 'That address has to wait before it may try again, longer each time, up to an hour.',
      todo:
        client === null
          ? 'If it was you with an old enrolment code, use the newest one. If not, somebody is guessing: find the machine with that address.'
          : `Check the clock and the app's settings on ${client.name}. If they are right, somebody is guessing: find the machine with that address.`,
    }),
  },
  certificate_refused: {
    severity: () => 'warning',
    same: ({ source, reason }) => ({ cause: `${source} ${reason}`, quiet: hour }),
    texts: ({ client, source, reason }) => ({
      title: `a certificate was refused${client === null ? '' : ` in the name of ${client.name}`}`,
      happened: `A call from ${source} came with a client certificate that does not hold: ${reason}.`,
      done: 'It was refused.',
      todo:
        client === null
          ? 'Find the machine with that address.'
          : `If it is the certificate of ${client.name} and ran out: keyserver client reset ${client.name}, and enrol it again. If not, find the machine with that address.`,
    }),
  },
};

function short(fingerprint: string | null): string {
  return fingerprint === null ? 'none' : fingerprint.slice(0, 12);
}

type Side = Facts<'fork'>['now'];

function sideText({ source, time, bootId, fingerprint }: Side): string {
  return `${source ?? 'unknown address'} at ${when(time)}, boot ${bootId ?? 'unknown'}, fingerprint ${short(fingerprint)}`;
}

function forkDone(locked: boolean, policy: 'lock+purge' | 'lock' | 'alert'): string {
  if (!locked) return 'Nothing was stopped: the policy of this client is to alert only. This one call was refused.';
  const purge = policy === 'lock+purge' ? ', and both machines are told to empty their caches' : '';
  return `The client is locked: nothing is released to either machine${purge}.`;
}

function outcomeText(outcome: 'alerted' | 'held' | 'denied'): string {
  if (outcome === 'alerted') return 'The request was answered: the policy of this client is to alert only.';
  return outcome === 'held' ? 'The request waits for your yes.' : 'The request was denied.';
}

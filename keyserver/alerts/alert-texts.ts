import type { AlertEvent, AlertFacts, Severity } from './alert-schema.ts';

/** What a person reads, the same on every channel. */
export interface AlertTexts {
  readonly severity: Severity;
  /** One line. */
  readonly title: string;
  readonly happened: string;
  /** What Latchkey did by itself. */
  readonly done: string;
  /** What the owner can do. */
  readonly todo: string;
}

export type Facts<E extends AlertEvent> = Extract<AlertFacts, { event: E }>;
type Side = Facts<'fork'>['now'];

/** How a kind of alert is sorted and told. */
export interface Kind<E extends AlertEvent> {
  readonly severity: (facts: Facts<E>) => Severity;
  /**
   * What makes two of them the same thing happening again, besides event and client; such are only counted for
   * `quiet` milliseconds. `null`: each is news.
   */
  readonly same: (facts: Facts<E>) => { readonly cause: string; readonly quiet: number } | null;
  readonly texts: (facts: Facts<E>) => Omit<AlertTexts, 'severity'>;
}

const hour = 3_600_000;
const day = 86_400_000;

export const kinds: { readonly [E in AlertEvent]: Kind<E> } = {
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
  killed: {
    severity: () => 'critical',
    same: () => null,
    texts: ({ client, by, reason }) => ({
      title: client === null ? 'the kill switch was thrown' : `the kill switch of ${client.name} was thrown`,
      happened: `Somebody asked for it ${byText(by)}${because(reason)}.`,
      done: `Nothing is released to ${client === null ? 'anybody' : client.name}; heartbeats are told to empty their caches.`,
      todo: `If it was you: keyserver revive${client === null ? '' : ` --client ${client.name}`} ends it${by === 'file' ? ', after removing the file KILL' : ''}. If not, find out who has access to this machine.`,
    }),
  },
  revived: {
    severity: () => 'warning',
    same: () => null,
    texts: ({ client, by }) => ({
      title: client === null ? 'the kill switch was taken back' : `the kill switch of ${client.name} was taken back`,
      happened: `Somebody asked for it ${byText(by)}.`,
      done: `Keys are released to ${client === null ? 'clients' : client.name} again.`,
      todo: 'If it was you, nothing. If not: keyserver kill, and find out who has access to this machine.',
    }),
  },
  client_enrolled: {
    severity: () => 'info',
    same: () => null,
    texts: ({ client, source, host }) => ({
      title: `${client.name} was enrolled`,
      happened: `The enrolment code of ${client.name} was used from ${source}${host === null ? '' : `, by a host that calls itself ${host}`}.`,
      done: 'The code is spent, and that machine may ask for the keys of this client.',
      todo: `If it was you, nothing. If not: keyserver client revoke ${client.name}, and find out who saw the code.`,
    }),
  },
  client_reset: {
    severity: () => 'info',
    same: () => null,
    texts: ({ client, was }) => ({
      title: `${client.name} was reset`,
      happened: `It was ${was}; its credentials ended and a new enrolment code was made on this machine.`,
      done: 'Nothing is released to it until the code is used.',
      todo: `If it was you, enrol it again. If not: keyserver client revoke ${client.name}, and find out who has access to this machine.`,
    }),
  },
  certificate_expiring: {
    severity: ({ purpose }) => (purpose === 'client' ? 'info' : 'warning'),
    same: ({ purpose }) => ({ cause: purpose, quiet: day }),
    texts: ({ client, purpose, endsAt }) => ({
      title: `the certificate of ${certificateOwner(purpose, client)} ends soon`,
      happened: `It is good until ${when(endsAt)}.`,
      done: 'Nothing is stopped until then.',
      todo:
        purpose === 'ca'
          ? 'Replace it while it still holds, so that clients take up the new one by themselves: keyserver cert rollover begin'
          : purpose === 'server'
            ? 'It should have been replaced by itself: keyserver doctor tells why not.'
            : 'The client renews it by itself while it can reach this server: check that it does.',
    }),
  },
  app_watch: {
    severity: ({ code }) => (code === 'reapplied' ? 'info' : 'critical'),
    same: ({ code }) => ({ cause: code, quiet: hour }),
    texts: (facts) => ({ happened: watchHappened(facts), ...watchTexts(facts) }),
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
  approval_decided: {
    severity: () => 'info',
    same: () => null,
    texts: ({ client, approval, gate, decision, by }) => ({
      title: `a request of ${client.name} was ${decision}`,
      happened: `Approval ${approval} of the gate ${gate} was decided ${byText(by)}.`,
      done: decision === 'approved' ? 'The keys are released at its next request.' : 'Nothing was released.',
      todo: 'If it was you, nothing. If not: keyserver kill, and change the admin password.',
    }),
  },
  approval_lapsed: {
    severity: () => 'warning',
    same: () => null,
    texts: ({ client, approval, gate }) => ({
      title: `nobody answered a request of ${client.name}`,
      happened: `Approval ${approval} of the gate ${gate} was not decided in time.`,
      done: 'It counts as denied; nothing was released.',
      todo: `${client.name} stays without its keys until it asks again and you say yes.`,
    }),
  },
  degraded: {
    severity: ({ until }) => (until === null ? 'critical' : 'info'),
    same: ({ until }) => (until === null ? { cause: '', quiet: hour } : null),
    texts: ({ since, until }) =>
      until === null
        ? {
            title: 'the key server cannot write its records',
            happened: `Since ${when(since)} nothing can be written to the database: the disk is full, read-only or broken, or the file was deleted or replaced.`,
            done: 'Nothing is released: what cannot be recorded is not done. This message could not be kept for later either.',
            todo: 'Free some space or repair the disk, then: keyserver doctor. After a deleted or replaced file, restart the server.',
          }
        : {
            title: 'the key server can write its records again',
            happened: `From ${when(since)} to ${when(until)} nothing could be written to the database.`,
            done: 'Keys are released again.',
            todo: 'Find out why it happened: keyserver doctor',
          },
  },
  server_started: {
    severity: () => 'warning',
    same: () => null,
    texts: ({ startedAt, aliveAt }) => ({
      title: 'the key server started after it had not been stopped in order',
      happened: `It last ran for sure at ${when(aliveAt)} and started at ${when(startedAt)}: a crash, a power cut, or a kill.`,
      done: 'It serves again; whatever had been answered before is on record.',
      todo: 'If the power failed, nothing. If not, look at the log of the service.',
    }),
  },
  backup_failed: {
    severity: () => 'warning',
    same: ({ reason }) => ({ cause: reason, quiet: day }),
    texts: ({ reason, lastGood }) => ({
      title: 'a backup failed',
      happened: `${reason}. The last good one was made at ${when(lastGood)}.`,
      done: 'It is tried again at the next time set.',
      todo: 'Check the place the backup goes to.',
    }),
  },
  audit_broken: {
    severity: () => 'critical',
    same: ({ record }) => ({ cause: String(record), quiet: day }),
    texts: ({ record, reason }) => ({
      title: 'the audit log was changed after it was written',
      happened: `Record ${record}: ${reason}.`,
      done: 'Nothing was stopped, and records go on behind it.',
      todo: 'keyserver kill, copy the data directory for a closer look, and compare it with your backups: whoever can change the database can do more.',
    }),
  },
  test: {
    severity: () => 'info',
    same: () => null,
    texts: () => ({
      title: 'a test of the alerts',
      happened: 'Somebody ran keyserver alert test.',
      done: 'Nothing happened to any client.',
      todo: 'Nothing: alerts reach you this way.',
    }),
  },
};

function watchHappened({ client, source, at, from, to }: Facts<'app_watch'>): string {
  const upgrade = from === null || to === null ? '' : ` Nextcloud went from ${from} to ${to}.`;
  return `The watch on ${client.name} told it from ${source}; it happened at ${when(at)}.${upgrade}`;
}

function watchTexts({ client, code }: Facts<'app_watch'>): Omit<AlertTexts, 'severity' | 'happened'> {
  switch (code) {
    case 'reapplied':
      return {
        title: `the app was put back on ${client.name}`,
        done: 'The watch put the app back into its place after something had taken it away or switched it off.',
        todo: 'After an upgrade, nothing. If there was none, find out who switched it off.',
      };
    case 'reapply_failed':
      return {
        title: `the app could not be put back on ${client.name}`,
        done: 'The watch tries again, later each time, and where keys are away closes the web as far as it can.',
        todo: `See why: ncpatch watch status. Then: ncpatch apply. Until then the encrypted files of ${client.name} cannot be read.`,
      };
    case 'core_hook_gone':
      return {
        title: `the hook in the core of ${client.name} is gone`,
        done: 'Nothing: the watch on the server cannot make the patch for another version.',
        todo: 'ncpatch apply puts it back; where the watch runs on your own machine too, it does so by itself.',
      };
    case 'app_gone':
      return {
        title: `the app is gone from ${client.name}`,
        done: 'Nothing: the watch found a reason not to touch it.',
        todo: 'See why: ncpatch watch status. Then: ncpatch apply, or ncpatch rollback.',
      };
  }
}

function when(at: number | null): string {
  return at === null ? 'never' : new Date(at).toISOString().replace(/\.\d{3}Z$/, 'Z');
}

function short(fingerprint: string | null): string {
  return fingerprint === null ? 'none' : fingerprint.slice(0, 12);
}

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

function byText(by: 'command' | 'page' | 'file'): string {
  if (by === 'file') return 'by the file KILL in the data directory';
  return by === 'page' ? 'on the admin page' : 'on the command line of this machine';
}

function because(reason: string | null): string {
  return reason === null || reason === '' ? '' : `: ${reason}`;
}

function certificateOwner(purpose: 'ca' | 'server' | 'client', owner: { name: string } | null): string {
  if (purpose === 'ca') return "this server's authority";
  return purpose === 'server' ? 'this server' : (owner?.name ?? 'a client');
}

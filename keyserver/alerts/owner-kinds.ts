import type { Kinds } from './alert-kind.ts';
import { because } from './alert-words.ts';

/** What somebody did who has a say here, or did not do in time. */
export const ownerKinds: Pick<
  Kinds,
  'killed' | 'revived' | 'client_enrolled' | 'client_reset' | 'approval_decided' | 'approval_lapsed' | 'test'
> = {
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

function byText(by: 'command' | 'page' | 'file'): string {
  if (by === 'file') return 'by the file KILL in the data directory';
  return by === 'page' ? 'on the admin page' : 'on the command line of this machine';
}

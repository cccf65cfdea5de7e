import { LatchkeyError } from '../../../platform/errors.ts';
import type { Trial } from './end-answers.ts';
import type { SshTunnelPlan } from './ssh-tunnel-plan.ts';

/** Pure: what is wrong when the dialling end was not let in, or `null`. */
export function trialTrouble(trial: Trial, { dials, endpoint, account }: SshTunnelPlan): LatchkeyError | null {
  const [here, there] =
    dials === 'home' ? ['the machine at home', 'the server'] : ['the server', 'the machine at home'];
  const place = `${endpoint.host} port ${endpoint.port}`;
  const of = (code: string, words: string, hint: string, exit: 1 | 3 = 1): LatchkeyError =>
    new LatchkeyError(code, words, { exit, hint, field: 'sshTunnel.endpoint' });
  switch (trial) {
    case 'in':
      return null;
    case 'other-host': {
      const words = `what answers ${here} at ${place} does not show a host key of ${there}`;
      const hint = `it is another machine, or somebody is in between; "sshTunnel.endpoint" must lead to ${there}'s own sshd`;
      return of('tunnel_other_host', words, hint, 3);
    }
    case 'denied': {
      const hint = `see its log on ${there}; it may read another configuration than /etc/ssh/sshd_config, or PAM may refuse`;
      return of('tunnel_denied', `the sshd of ${there} does not let the account ${account} in`, hint);
    }
    case 'no-name':
      return of(
        'tunnel_no_name',
        `${here} cannot look up ${endpoint.host}`,
        'give an address, or a name that it knows',
      );
    case 'refused':
      return of(
        'tunnel_refused',
        `nothing listens at ${place}, asked from ${here}`,
        `is sshd of ${there} running there?`,
      );
    case 'silent': {
      const hint = 'a firewall may be in between, or a router that does not pass the port on';
      return of('tunnel_silent', `${here} gets no answer from ${place}`, hint);
    }
    case 'cut':
      return of(
        'tunnel_cut',
        `${here} reaches ${place}, but no SSH login comes of it`,
        `see the log of sshd on ${there}`,
      );
  }
}

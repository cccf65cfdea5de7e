import type { StepLook } from '../setup-step.ts';
import { listenTaken, type TunnelState } from './ssh-tunnel.ts';
import { loginFolder, type SshTunnelPlan } from './ssh-tunnel-plan.ts';
import { dropInPath } from './sshd-files.ts';

/** Why a step cannot be done, as its look tells it. */
export type TunnelObstacle = Omit<Extract<StepLook, { state: 'impossible' }>, 'state'>;

/** Pure: why no such tunnel can be laid, or `null`. Nothing was changed then. */
export function tunnelObstacle(state: TunnelState, plan: SshTunnelPlan): TunnelObstacle | null {
  const [here, there] =
    plan.dials === 'home' ? ['the machine at home', 'the server'] : ['the server', 'the machine at home'];
  const { dialling, dialled, service } = state;
  if (plan.listen < 1024) {
    const hint = 'name a port from 1024 up as "sshTunnel.listen"';
    return { code: 'listen_privileged', words: `port ${plan.listen} of the server is for root alone`, hint };
  }
  if (dialled.system !== 'Linux') {
    const hint = 'have it dial the server, "sshTunnel.dials": "home", or take "transport": "wireguard"';
    return { code: 'tunnel_not_to_here', words: `${there} cannot be dialled: it is not a Linux`, hint };
  }
  const lacking = dialling.ssh === null ? 'ssh' : dialling.keygen === null ? 'ssh-keygen' : null;
  if (lacking !== null) {
    const hint = 'install the OpenSSH client there: openssh-client, openssh-clients or openssh';
    return { code: 'ssh_missing', words: `there is no ${lacking} on ${here}`, hint };
  }
  if (dialled.sshd === null) {
    return { code: 'sshd_missing', words: `there is no sshd on ${there}`, hint: 'install the OpenSSH server there' };
  }
  if (!dialled.dropins) {
    const hint = 'put this line at the top of it: Include /etc/ssh/sshd_config.d/*.conf';
    return { code: 'sshd_no_dropins', words: `/etc/ssh/sshd_config of ${there} reads no folder of additions`, hint };
  }
  if (service === null) {
    const hint = 'it needs systemd, OpenRC or launchd, or cron with a folder /etc/cron.d and flock';
    return { code: 'no_scheduler', words: `nothing on ${here} could keep a tunnel up`, hint };
  }
  for (const [end, { account }] of [
    [here, dialling],
    [there, dialled],
  ] as const) {
    if (account !== 'foreign') continue;
    const words = `${end} has an account or a group ${plan.account} that is not Latchkey's`;
    return { code: 'account_taken', words, hint: 'rename it, or remove it if nothing needs it' };
  }
  if (state.serviceFile === 'other' || dialling.own === 'other') {
    const words = `${here} has an SSH tunnel called ${plan.name} already, of another Nextcloud`;
    return { code: 'tunnel_name_taken', words, hint: 'give this one another name: "client"' };
  }
  const foreign = [
    [here, service.file.path, state.serviceFile],
    [there, dropInPath(plan), dialled.dropin],
    [there, `${loginFolder(plan)}/authorized_keys`, dialled.logins],
  ].find(([, , whose]) => whose === 'foreign');
  if (foreign !== undefined) {
    const words = `${foreign[1]} on ${foreign[0]} is not Latchkey's`;
    return { code: 'tunnel_foreign', words, hint: 'look what it is for, and move it away' };
  }
  if (dialled.others > 0 && dialled.dropin === 'ours' && dialled.otherway) {
    const words = `the account ${plan.account} of ${there} has other tunnels, which go the other way`;
    return {
      code: 'tunnel_account_shared',
      words,
      hint: 'let all tunnels of that machine be dialled from the same side',
    };
  }
  const isWanted = dialling.wanted || dialled.wanted;
  if (isWanted || state.listener === 'foreign') {
    const { code, message, hint = '' } = listenTaken(plan.listen);
    const words = isWanted ? `port ${plan.listen} of the server is where another SSH tunnel of Latchkey ends` : message;
    return { code, words, hint: `${hint}: "sshTunnel.listen"` };
  }
  return null;
}

import type { TunnelState } from './ssh-tunnel.ts';
import { dialFolder, loginFolder, type SshTunnelPlan } from './ssh-tunnel-plan.ts';
import { dropInPath } from './sshd-files.ts';

/** Pure: what would be made, a line each. */
export function describeTunnel(plan: SshTunnelPlan, state: TunnelState): readonly string[] {
  const [here, there] = sides(plan);
  const { account, endpoint, dials, listen, target } = plan;
  const accounts = [
    ...(state.dialling.account === 'none' ? [`${here}: an account ${account}, without a password or a shell`] : []),
    ...(state.dialled.account === 'none' ? [`${there}: the same`] : []),
  ];
  const way =
    dials === 'home'
      ? `opens port ${listen} there, on loopback, and leads it to ${target} here`
      : `leads port ${listen} here, on loopback, to ${target} there`;
  return [
    ...accounts,
    `${here}: a key pair in ${dialFolder(plan)}; its private half stays there`,
    `${there}: ${loginFolder(plan)}/authorized_keys lets that key in, for this one port and nothing else`,
    `${there}: ${dropInPath(plan)} holds the account to that, and sshd is told to read it`,
    `${here}: ${state.service?.file.path ?? 'a service'} keeps ssh to ${endpoint.host} port ${endpoint.port} running, which ${way}`,
  ];
}

/** Pure: what would be taken away, a line each; none where there is nothing. */
export function describeTunnelRemoval(plan: SshTunnelPlan, state: TunnelState): readonly string[] {
  const [here, there] = sides(plan);
  const { dialling, dialled } = state;
  return [
    ...(state.serviceFile === 'ours'
      ? [`${here}: ${state.service?.file.path ?? 'the service'}, which keeps the SSH tunnel up`]
      : []),
    ...(dialling.own !== 'other' && (dialling.key !== null || dialling.unfinished)
      ? [`${here}: ${dialFolder(plan)} with its key`]
      : []),
    ...(dialled.login !== null ? [`${there}: its login in ${loginFolder(plan)}/authorized_keys`] : []),
    ...(dialled.dropin === 'ours' && dialled.others === 0 ? [`${there}: ${dropInPath(plan)}`] : []),
    ...(
      [
        [here, dialling],
        [there, dialled],
      ] as const
    )
      .filter(([, { account, shared }]) => account === 'ours' && !shared)
      .map(([side]) => `${side}: the account ${plan.account}`),
  ];
}

function sides({ dials }: SshTunnelPlan): readonly [here: string, there: string] {
  return dials === 'home' ? ['at home', 'on the server'] : ['on the server', 'at home'];
}

import { dialFolder, hostKeyAlias, listenAuthority, type SshTunnelPlan } from './ssh-tunnel-plan.ts';

/** ssh(1): nothing but a forwarding, nothing of anybody's configuration, nobody to ask, and no host but the one it was told of. */
export function sshCommand(plan: SshTunnelPlan, ssh: string): readonly [string, ...string[]] {
  return [ssh, '-N', ...forwarding(plan), ...sshOptions(plan)];
}

/** The same without a forwarding, to see whether anybody is let in. */
export function sshTrial(plan: SshTunnelPlan, ssh: string): readonly [string, ...string[]] {
  return [ssh, '-v', ...sshOptions(plan), 'true'];
}

function forwarding(plan: SshTunnelPlan): readonly string[] {
  return [plan.dials === 'home' ? '-R' : '-L', `${listenAuthority(plan)}:${plan.target}`];
}

function sshOptions(plan: SshTunnelPlan): readonly string[] {
  const folder = dialFolder(plan);
  const options = {
    BatchMode: 'yes',
    ExitOnForwardFailure: 'yes',
    ServerAliveInterval: plan.aliveSeconds,
    ServerAliveCountMax: 3,
    ConnectTimeout: 15,
    StrictHostKeyChecking: 'yes',
    UserKnownHostsFile: `${folder}/known_hosts`,
    GlobalKnownHostsFile: '/dev/null',
    HostKeyAlias: hostKeyAlias(plan),
    CheckHostIP: 'no',
    UpdateHostKeys: 'no',
    IdentitiesOnly: 'yes',
    IdentityAgent: 'none',
    PreferredAuthentications: 'publickey',
    ForwardAgent: 'no',
    ForwardX11: 'no',
    ControlPath: 'none',
    PermitLocalCommand: 'no',
  };
  return [
    '-T',
    ...['-F', '/dev/null', '-i', `${folder}/key`],
    ...Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]),
    ...['-p', String(plan.endpoint.port), '-l', plan.account],
    plan.endpoint.host,
  ];
}

import { listenAuthority, loginFolder, loginName, type SshTunnelPlan } from './ssh-tunnel-plan.ts';

/** sshd_config(5) is read in the order of names, and of what is said twice about an account the first counts. */
export function dropInPath({ account }: SshTunnelPlan): string {
  return `/etc/ssh/sshd_config.d/05-${account}.conf`;
}

/** First line of the drop-in: it is one for all tunnels that end here. */
export const DROP_IN_MARK = '# written by ncpatch: SSH tunnels of Latchkey; "ncpatch teardown" takes it away';

/**
 * What sshd lets the account do, whatever else it is told: one kind of forwarding, with a key of our own list. A dead line is
 * noticed, as the port at its end is taken for as long as it is held.
 */
export function sshdSettings(plan: SshTunnelPlan): readonly (readonly [name: string, value: string])[] {
  const { account, aliveSeconds, dials } = plan;
  return [
    ['AllowUsers', account],
    ['AllowGroups', account],
    ['AuthorizedKeysFile', `${loginFolder(plan)}/authorized_keys`],
    ['AuthorizedKeysCommand', 'none'],
    ['TrustedUserCAKeys', 'none'],
    ['AuthenticationMethods', 'publickey'],
    ['PubkeyAuthentication', 'yes'],
    ['PasswordAuthentication', 'no'],
    ['DisableForwarding', 'no'],
    ['AllowTcpForwarding', dials === 'home' ? 'remote' : 'local'],
    [dials === 'home' ? 'PermitOpen' : 'PermitListen', 'none'],
    ['GatewayPorts', 'no'],
    ['AllowStreamLocalForwarding', 'no'],
    ['AllowAgentForwarding', 'no'],
    ['X11Forwarding', 'no'],
    ['PermitTunnel', 'no'],
    ['PermitTTY', 'no'],
    ['PermitUserRC', 'no'],
    ['MaxSessions', '0'],
    ['ForceCommand', '/bin/false'],
    ['ClientAliveInterval', String(aliveSeconds)],
    ['ClientAliveCountMax', '3'],
  ];
}

export function dropInText(plan: SshTunnelPlan): string {
  const lines = sshdSettings(plan).map(([name, value]) => `\t${name} ${value}\n`);
  return `${DROP_IN_MARK}\nMatch User ${plan.account}\n${lines.join('')}Match all\n`;
}

/** What `sshd -T` has to say about the account once it has read that. */
export function effectiveSettings(plan: SshTunnelPlan): readonly string[] {
  return sshdSettings(plan).map(([name, value]) => `${name.toLowerCase()} ${value}`);
}

/** A line of authorized_keys, sshd(8): the same once more, for this key, with the one port that it is for. */
export function authorizedLine(plan: SshTunnelPlan, publicKey: string, name = loginName(plan)): string {
  const port = plan.dials === 'home' ? `permitlisten="${listenAuthority(plan)}"` : `permitopen="${plan.target}"`;
  return `restrict,port-forwarding,command="/bin/false",${port} ${publicKey} ${name}`;
}

/** First line of the list. */
export function loginMark(plan: SshTunnelPlan): string {
  return DROP_IN_MARK.replace('SSH tunnels', `logins of ${plan.account}, for SSH tunnels`);
}

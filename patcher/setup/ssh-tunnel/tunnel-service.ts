import { CONFINED } from '../../../platform/confinement.ts';
import { quoteForCron } from '../../../platform/crontab.ts';
import { LatchkeyError } from '../../../platform/errors.ts';
import { propertyList } from '../../../platform/property-list.ts';
import { commandWords } from '../../../platform/service-text.ts';
import { quoteForRemoteShell } from '../../transports/remote-quoting.ts';
import { sshCommand } from './ssh-command.ts';
import { dialFolder, type SshTunnelPlan, writtenMark } from './ssh-tunnel-plan.ts';

/** What keeps the tunnel up on the dialling end. */
export const tunnelInits = ['systemd', 'openrc', 'launchd', 'cron'] as const;
export type TunnelInit = (typeof tunnelInits)[number];

/** A file that is root's. */
export interface ServiceFile {
  readonly path: string;
  readonly text: string;
  readonly mode: '644' | '755';
}

export interface TunnelService {
  readonly init: TunnelInit;
  /** What the init calls it. */
  readonly unit: string;
  /** What the init reads. */
  readonly file: ServiceFile;
  /** What that starts, where it is not ssh itself. */
  readonly keeper: ServiceFile | null;
}

/** Pure: what has an init start `ssh` at boot and again whenever it has ended. */
export function tunnelService(init: TunnelInit, plan: SshTunnelPlan, ssh: string): TunnelService {
  // each goes into files with a language of its own
  if (!/^\/[\w./-]+$/.test(ssh)) {
    throw new LatchkeyError('ssh_path_odd', 'ssh lies at a path with signs that a service file may read otherwise');
  }
  const unit = tunnelUnit(init, plan);
  switch (init) {
    case 'systemd':
      return whole(init, unit, `/etc/systemd/system/${unit}`, systemdUnit(plan, ssh));
    case 'openrc':
      return whole(init, unit, `/etc/init.d/${unit}`, openrcService(plan, ssh), '755');
    case 'launchd':
      return whole(init, unit, `/Library/LaunchDaemons/${unit}.plist`, launchdPlist(plan, ssh, unit));
    case 'cron': {
      const keeper = { path: `${dialFolder(plan)}/keep`, text: keeperScript(plan, ssh), mode: '755' } as const;
      return { ...whole(init, unit, `/etc/cron.d/${unit}`, cronFile(plan, keeper.path)), keeper };
    }
  }
}

/** cron takes no file for its own that has a dot in its name. */
function tunnelUnit(init: TunnelInit, { name }: SshTunnelPlan): string {
  if (init === 'launchd') return `latchkey.tunnel.${name}`;
  if (init === 'cron') return `latchkey-tunnel-${name.replaceAll('.', '_')}`;
  return init === 'systemd' ? `latchkey-tunnel-${name}.service` : `latchkey-tunnel-${name}`;
}

function whole(
  init: TunnelInit,
  unit: string,
  path: string,
  text: string,
  mode: ServiceFile['mode'] = '644',
): TunnelService {
  return { init, unit, file: { path, text, mode }, keeper: null };
}

/** systemd.exec(5). */
function systemdUnit(plan: SshTunnelPlan, ssh: string): string {
  return `${writtenMark(plan)}
[Unit]
Description=Latchkey SSH tunnel of the Nextcloud ${plan.name}
After=network-online.target
Wants=network-online.target
# a line that is down for a day is tried for a day
StartLimitIntervalSec=0

[Service]
Type=exec
User=${plan.account}
ExecStart=${commandWords(sshCommand(plan, ssh))}
Restart=always
RestartSec=${plan.retrySeconds}
UMask=0077

${CONFINED}
CapabilityBoundingSet=
AmbientCapabilities=
ProtectHome=yes
PrivateDevices=yes
PrivateMounts=yes
ProtectProc=invisible
RemoveIPC=yes
# names are looked up over the first and the last
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK

[Install]
WantedBy=multi-user.target
`;
}

/** openrc-run(8), supervise-daemon(8). */
function openrcService(plan: SshTunnelPlan, ssh: string): string {
  const [, ...words] = sshCommand(plan, ssh);
  return `#!/sbin/openrc-run
${writtenMark(plan)}
description="Latchkey SSH tunnel of the Nextcloud ${plan.name}"
supervisor=supervise-daemon
command=${ssh}
command_args="${words.join(' ')}"
command_user=${plan.account}
respawn_delay=${plan.retrySeconds}
respawn_max=0

depend() {
	need net
	use dns
	after firewall
}
`;
}

/** launchd.plist(5). */
function launchdPlist(plan: SshTunnelPlan, ssh: string, label: string): string {
  return propertyList(
    {
      Label: label,
      ProgramArguments: sshCommand(plan, ssh),
      UserName: plan.account,
      WorkingDirectory: '/',
      Umask: 0o077,
      RunAtLoad: true,
      KeepAlive: true,
      ThrottleInterval: plan.retrySeconds,
      HardResourceLimits: { Core: 0 },
      StandardErrorPath: `/var/log/${label}.log`,
    },
    writtenMark(plan),
  );
}

/** What cron has started once goes on; the next one sees that it holds its own file. */
function keeperScript(plan: SshTunnelPlan, ssh: string): string {
  return `#!/bin/sh
${writtenMark(plan)}
exec 9<"$0" </dev/null
flock -n 9 || exit 0
while :; do
	${quoteForRemoteShell(sshCommand(plan, ssh))} 9<&-
	sleep ${plan.retrySeconds} 9<&-
done
`;
}

function cronFile(plan: SshTunnelPlan, keeper: string): string {
  return `${writtenMark(plan)}
SHELL=/bin/sh
PATH=/usr/local/bin:/usr/bin:/bin
* * * * * ${plan.account} ${quoteForCron(keeper)} >/dev/null 2>&1
`;
}

import type { Scheduler } from './facts.ts';

/** What the heartbeat's timer needs to know. */
export interface HeartbeatPlan {
  readonly instanceId: string;
  readonly user: string;
  readonly php: string;
  /** The script of the app that sends one heartbeat without starting Nextcloud. */
  readonly script: string;
  readonly stateFolder: string;
}

function names(instanceId: string): { service: string; timer: string; cron: string } {
  const unit = `/etc/systemd/system/latchkey-heartbeat-${instanceId}`;
  return { service: `${unit}.service`, timer: `${unit}.timer`, cron: `/etc/cron.d/latchkey-${instanceId}` };
}

/** Every file a heartbeat may have been installed as. */
export function timerPaths(instanceId: string): string[] {
  return Object.values(names(instanceId));
}

/** Name of the unit for systemctl. */
export function timerUnit(instanceId: string): string {
  return `latchkey-heartbeat-${instanceId}.timer`;
}

/** Pure: the files that send a heartbeat each minute, by path; none where nothing could run them. */
export function timerFilesFor(scheduler: Scheduler, plan: HeartbeatPlan): Record<string, string> {
  const { service, timer, cron } = names(plan.instanceId);
  if (scheduler === 'systemd') return { [service]: serviceUnit(plan), [timer]: TIMER_UNIT };
  return scheduler === 'cron' ? { [cron]: cronFile(plan) } : {};
}

function serviceUnit(plan: HeartbeatPlan): string {
  const command = [plan.php, plan.script, `--dir=${plan.stateFolder}`].map(quoteForSystemd).join(' ');
  return `# written by ncpatch; "ncpatch remove" takes it away
[Unit]
Description=Latchkey heartbeat of the Nextcloud ${plan.instanceId}
After=network-online.target
Wants=network-online.target
ConditionPathExists=${conditionPath(`${plan.stateFolder}/client.json`)}

[Service]
Type=oneshot
User=${plan.user}
ExecStart=${command}
TimeoutStartSec=20
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths=${quoteForSystemd(plan.stateFolder)}
PrivateTmp=yes
LimitCORE=0
`;
}

const TIMER_UNIT = `# written by ncpatch; "ncpatch remove" takes it away
[Unit]
Description=Latchkey heartbeat each minute

[Timer]
OnBootSec=15s
OnUnitActiveSec=60s
AccuracySec=1s

[Install]
WantedBy=timers.target
`;

function cronFile(plan: HeartbeatPlan): string {
  const command = [plan.php, plan.script, `--dir=${plan.stateFolder}`].map(quoteForCron).join(' ');
  return `# written by ncpatch; "ncpatch remove" takes it away
SHELL=/bin/sh
PATH=/usr/local/bin:/usr/bin:/bin
* * * * * ${plan.user} ${command} >/dev/null 2>&1
`;
}

/** systemd.service(5), "command lines": `%` and `$` stand for something unless doubled. */
function quoteForSystemd(text: string): string {
  refuseControl(text);
  const escaped = text.replaceAll('%', '%%').replaceAll('$', '$$$$');
  return /^[\w@:.,/+=-]+$/.test(text) ? escaped : `"${escaped.replaceAll(/[\\"]/g, '\\$&')}"`;
}

/** systemd.unit(5): a path is taken as it stands, only `%` means something. */
function conditionPath(path: string): string {
  refuseControl(path);
  return path.replaceAll('%', '%%');
}

/** crontab(5): the line goes to a shell, and `%` ends it unless escaped. */
function quoteForCron(text: string): string {
  refuseControl(text);
  const quoted = /^[\w@:.,/+=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
  return quoted.replaceAll('%', '\\%');
}

function refuseControl(text: string): void {
  if (/\p{Cc}/u.test(text)) throw new TypeError('a path of the heartbeat holds a control character');
}

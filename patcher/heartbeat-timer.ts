import { quoteForCron } from '../platform/crontab.ts';
import { commandWords, pathWord, wholePath } from '../platform/service-text.ts';
import { type HeartbeatWay, type Scheduler, STATE_PARENT } from './facts.ts';

/** What the heartbeat and its timer need to know. */
export interface HeartbeatPlan {
  readonly instanceId: string;
  readonly way: HeartbeatWay;
  /** Text of the app's `bin/heartbeat.sh`. */
  readonly script: string;
  readonly stateFolder: string;
}

function names(instanceId: string): { script: string; service: string; timer: string; cron: string } {
  const unit = `/etc/systemd/system/latchkey-heartbeat-${instanceId}`;
  return {
    script: `${STATE_PARENT}/heartbeat-${instanceId}.sh`,
    service: `${unit}.service`,
    timer: `${unit}.timer`,
    cron: `/etc/cron.d/latchkey-${instanceId}`,
  };
}

/** Every file of a heartbeat, however it was installed. */
export function timerPaths(instanceId: string): string[] {
  return Object.values(names(instanceId));
}

/** Name of the unit for systemctl. */
export function timerUnit(instanceId: string): string {
  return `latchkey-heartbeat-${instanceId}.timer`;
}

/**
 * Pure: the files that send a heartbeat each minute, by path; none where nothing could run them. The script is a copy of
 * its own, outside of Nextcloud: it goes on while an upgrade takes the app away, and the web user cannot change it.
 */
export function timerFilesFor(scheduler: Scheduler, plan: HeartbeatPlan): Record<string, string> {
  const { script, service, timer, cron } = names(plan.instanceId);
  switch (scheduler) {
    case 'systemd':
      return { [script]: plan.script, [service]: serviceUnit(plan, script), [timer]: TIMER_UNIT };
    case 'cron':
      return { [script]: plan.script, [cron]: cronFile(plan, script) };
    case 'none':
      return {};
  }
}

/** In a container the script comes as standard input, so that it stays the machine's there too. */
function commandOf({ way, stateFolder, instanceId }: HeartbeatPlan, script: string): readonly string[] {
  return way.via === 'machine'
    ? ['/bin/sh', script, stateFolder, instanceId]
    : [...way.command, '/bin/sh', '-s', stateFolder, instanceId];
}

function serviceUnit(plan: HeartbeatPlan, script: string): string {
  const { way } = plan;
  return `# written by ncpatch; "ncpatch remove" takes it away
[Unit]
Description=Latchkey heartbeat of the Nextcloud ${plan.instanceId}
After=network-online.target
Wants=network-online.target
${way.via === 'container' ? '' : `ConditionPathExists=${wholePath(`${plan.stateFolder}/client.json`)}\n`}
[Service]
Type=oneshot
${way.via === 'container' ? `StandardInput=file:${wholePath(script)}` : `User=${way.user}`}
ExecStart=${commandWords(commandOf(plan, script))}
TimeoutStartSec=30
${way.via === 'container' ? restraintOf(way.command[0] ?? '') : `${RESTRAINT}${writableOnMachine(plan.stateFolder)}`}PrivateTmp=yes
LimitCORE=0
`;
}

const RESTRAINT = `NoNewPrivileges=yes
ProtectSystem=strict
`;

/** docker only talks to its daemon; podman does the work itself, in folders of its own; a snap is confined by setuid programs. */
function restraintOf(program: string): string {
  if (program.startsWith('/snap/')) return '';
  return program.endsWith('/podman') ? `${RESTRAINT}ReadWritePaths=-/run -/var/lib/containers\n` : RESTRAINT;
}

function writableOnMachine(stateFolder: string): string {
  return `ReadWritePaths=${pathWord(stateFolder)}
# keys that commands have cached on tmpfs are dropped when the key server says so
ReadWritePaths=-/run
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

function cronFile(plan: HeartbeatPlan, script: string): string {
  const { way } = plan;
  const user = way.via === 'machine' ? way.user : 'root';
  const input = way.via === 'machine' ? '' : ` <${quoteForCron(script)}`;
  return `# written by ncpatch; "ncpatch remove" takes it away
SHELL=/bin/sh
PATH=/usr/local/bin:/usr/bin:/bin
* * * * * ${user} ${commandOf(plan, script).map(quoteForCron).join(' ')}${input} >/dev/null 2>&1
`;
}

import { CONFINED_NODE, homeProtection } from '../../platform/confinement.ts';
import { MAIN_FILE } from '../../platform/program-place.ts';
import { propertyList } from '../../platform/property-list.ts';
import { assertPlainWords, commandLine, quoted, specifiersEscaped } from '../../platform/service-text.ts';

export const timerPlatforms = ['linux', 'macos', 'cron'] as const;
export type TimerPlatform = (typeof timerPlatforms)[number];

/** What makes a backup each night. Paths are absolute. */
export interface TimerFacts {
  /** The Node that runs it. */
  readonly node: string;
  /** The clone. */
  readonly root: string;
  readonly data: string;
  readonly folder: string;
  /** The account that owns the data directory. */
  readonly user: string;
  /** `HH:MM`, of the machine's own time. */
  readonly at: string;
  /** The rest of the command line: how many are kept, and what seals them. */
  readonly words: readonly string[];
}

export interface TimerFile {
  /** Where it belongs; `null` for a line of a crontab. */
  readonly path: string | null;
  readonly text: string;
}

export function timerFiles(platform: TimerPlatform, facts: TimerFacts): readonly TimerFile[] {
  const { node, root, data, folder, user, words } = facts;
  assertPlainWords([node, root, data, folder, user, ...words]);
  if (platform === 'cron') return [{ path: null, text: cronLine(facts) }];
  if (platform === 'macos') {
    return [{ path: '/Library/LaunchDaemons/latchkey.hub-backup.plist', text: launchdPlist(facts) }];
  }
  const unit = '/etc/systemd/system/latchkey-hub-backup';
  return [
    { path: `${unit}.service`, text: systemdService(facts) },
    { path: `${unit}.timer`, text: systemdTimer(facts) },
  ];
}

function argumentsOf({ root, data, folder, words }: TimerFacts): readonly string[] {
  const node = '--disable-warning=ExperimentalWarning';
  return [node, `${root}/wireguard/${MAIN_FILE}`, 'backup', '--data', data, '--folder', folder, ...words];
}

function systemdService(facts: TimerFacts): string {
  return `[Unit]
Description=Backup of the Latchkey hub
After=network.target
# a backup disk that is not there makes this fail, which is to be seen
RequiresMountsFor=${quoted(facts.folder)}

[Service]
Type=oneshot
ExecStart=${commandLine(facts.node, argumentsOf(facts))}
WorkingDirectory=${specifiersEscaped(facts.root)}
User=${facts.user}
UMask=0077
Nice=10
TimeoutStartSec=30min

${CONFINED_NODE}
ReadWritePaths=${quoted(facts.data)} ${quoted(facts.folder)}
ProtectHome=${homeProtection([facts.node, facts.root, facts.data, facts.folder, ...facts.words])}
CapabilityBoundingSet=
PrivateDevices=yes
# the network is for PostgreSQL
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
`;
}

function systemdTimer({ at }: TimerFacts): string {
  return `[Unit]
Description=Nightly backup of the Latchkey hub

[Timer]
OnCalendar=*-*-* ${at}:00
RandomizedDelaySec=5min
# makes up for a night in which the machine was off
Persistent=yes

[Install]
WantedBy=timers.target
`;
}

/** crontab(5): a percent sign would end the line. What is good is not mailed, what is not is. */
function cronLine(facts: TimerFacts): string {
  const [hour, minute] = facts.at.split(':').map(Number);
  const command = [facts.node, ...argumentsOf(facts)].map(shellWord).join(' ').replaceAll('%', '\\%');
  return `${minute} ${hour} * * * umask 077; log=$(${command} 2>&1) || { echo "$log"; exit 1; }\n`;
}

function shellWord(word: string): string {
  return /^[A-Za-z0-9_./=:,@-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** launchd.plist(5). A night in which the machine slept is made up for when it wakes. */
function launchdPlist(facts: TimerFacts): string {
  const [Hour = 0, Minute = 0] = facts.at.split(':').map(Number);
  return propertyList({
    Label: 'latchkey.hub-backup',
    ProgramArguments: [facts.node, ...argumentsOf(facts)],
    WorkingDirectory: facts.root,
    UserName: facts.user,
    Umask: 0o077,
    StartCalendarInterval: { Hour, Minute },
    StandardErrorPath: `${facts.data}/backup.log`,
  });
}

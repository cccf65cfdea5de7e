import { CONFINED_NODE } from '../../platform/confinement.ts';
import { cronTime, quoteForCron } from '../../platform/crontab.ts';
import { MAIN_FILE } from '../../platform/program-place.ts';
import { propertyList } from '../../platform/property-list.ts';
import { assertPlainWords, commandLine, quoted, specifiersEscaped } from '../../platform/service-text.ts';
import type { PlacedFile } from './place-files.ts';

export const checkForms = ['systemd', 'cron', 'launchd'] as const;
export type CheckForm = (typeof checkForms)[number];

/** What starts a check again and again. Paths are absolute. */
export interface CheckTimerFacts {
  /** The Node that runs it. */
  readonly node: string;
  /** The clone. */
  readonly root: string;
  /** Of `wgnode check`. */
  readonly words: readonly string[];
  readonly everySeconds: number;
  /** Where what it keeps is, when that is not the usual folder. */
  readonly stateFolder: string | null;
}

const NAME = 'latchkey-node-check';
export const CHECK_LABEL = 'latchkey.node-check';

/** Pure: the files of a form, with the place where each belongs. */
export function checkTimerFiles(form: CheckForm, facts: CheckTimerFacts): readonly PlacedFile[] {
  const { node, root, words, stateFolder } = facts;
  assertPlainWords([node, root, ...words, stateFolder ?? '']);
  if (form === 'cron') return [{ path: `/etc/cron.d/${NAME}`, text: cronFile(facts) }];
  if (form === 'launchd') return [{ path: `/Library/LaunchDaemons/${CHECK_LABEL}.plist`, text: plist(facts) }];
  const unit = `/etc/systemd/system/${NAME}`;
  return [
    { path: `${unit}.service`, text: serviceUnit(facts) },
    { path: `${unit}.timer`, text: timerUnit(facts) },
  ];
}

function argumentsOf({ root, words }: CheckTimerFacts): readonly string[] {
  return ['--disable-warning=ExperimentalWarning', `${root}/wireguard/node/${MAIN_FILE}`, 'check', ...words];
}

/**
 * systemd.exec(5). What restarts an interface is systemd, by that interface's own unit: this one only asks it, as root, and has no right
 * but the one to look.
 */
function serviceUnit(facts: CheckTimerFacts): string {
  return `[Unit]
Description=Latchkey: checks the tunnel of this machine
After=network.target

[Service]
Type=oneshot
ExecStart=${commandLine(facts.node, argumentsOf(facts))}
WorkingDirectory=${specifiersEscaped(facts.root)}
UMask=0077
TimeoutStartSec=5min
${facts.stateFolder === null ? 'StateDirectory=latchkey-node\nStateDirectoryMode=0700' : `ReadWritePaths=${quoted(facts.stateFolder)}`}
# what "wg show" takes, and what the sockets of wireguard-go take
CapabilityBoundingSet=CAP_NET_ADMIN CAP_DAC_OVERRIDE
PrivateDevices=yes
RestrictAddressFamilies=AF_UNIX AF_NETLINK AF_INET AF_INET6
${CONFINED_NODE}
ProtectHome=read-only
`;
}

function timerUnit({ everySeconds }: CheckTimerFacts): string {
  return `[Unit]
Description=Latchkey: checks the tunnel of this machine, again and again

[Timer]
OnBootSec=60s
OnUnitInactiveSec=${everySeconds}s
AccuracySec=5s

[Install]
WantedBy=timers.target
`;
}

/** crontab(5). By its first line it is known as ours when it is written again. What is wrong is told by its own alerts; cron would mail it each time. */
function cronFile(facts: CheckTimerFacts): string {
  const command = [facts.node, ...argumentsOf(facts)].map(quoteForCron).join(' ');
  return `# by Latchkey
SHELL=/bin/sh
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
${cronTime(facts.everySeconds)} root ${command} >/dev/null 2>&1
`;
}

/** launchd.plist(5). wg and wg-quick of Homebrew are not where launchd looks by itself. */
function plist(facts: CheckTimerFacts): string {
  return propertyList({
    Label: CHECK_LABEL,
    ProgramArguments: [facts.node, ...argumentsOf(facts)],
    WorkingDirectory: facts.root,
    EnvironmentVariables: {
      PATH: '/opt/homebrew/bin:/opt/homebrew/sbin:/usr/local/bin:/usr/local/sbin:/usr/bin:/bin:/usr/sbin:/sbin',
    },
    StartInterval: facts.everySeconds,
    RunAtLoad: true,
    // wireguard-go, which wg-quick starts, has to stay
    AbandonProcessGroup: true,
    StandardErrorPath: `/var/log/${CHECK_LABEL}.log`,
  });
}

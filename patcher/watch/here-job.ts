import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { cronTime, everySeconds, quoteForCron } from '../../platform/crontab.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { propertyList } from '../../platform/property-list.ts';
import { commandWords, quoted } from '../../platform/service-text.ts';
import type { WorkOptions } from '../workplace.ts';

/** What starts it on the administrator's machine. */
export type HereScheduler = 'systemd' | 'launchd' | 'cron';

/** Where a job on the administrator's machine is, whatever it does. */
export interface HerePlace {
  /** Part of file names and labels; the same for the same server. */
  readonly name: string;
  readonly log: string;
}

/** `ncpatch watch now` for one server, again and again. */
export interface HereJob extends HerePlace {
  readonly argv: readonly [string, ...string[]];
  readonly everySeconds: number;
  /** What the agent is reached by, where no identity file is named. */
  readonly environment: Readonly<Record<string, string>>;
}

export interface HereOrder {
  readonly options: WorkOptions;
  readonly self: readonly [string, ...string[]];
  readonly every: string;
  readonly env: Environment;
}

type Environment = Readonly<Record<string, string | undefined>>;

const WRITTEN = 'written by ncpatch; "ncpatch watch remove --here" takes it away';

/** Pure: the job that these options mean. Refuses what nobody could answer for while nobody is there (exit 2). */
export function hereJobFor({ options, self, every, env }: HereOrder): HereJob {
  const { ssh, identity } = options;
  const { name, log } = herePlace(options, env);
  const agent = env.SSH_AUTH_SOCK ?? '';
  if (identity === undefined && agent === '') {
    throw new LatchkeyError('usage', 'nobody will be there to type a password: "--identity FILE" must name a key', {
      exit: 2,
      field: '--identity',
      hint: 'a key file without a passphrase, or an agent (SSH_AUTH_SOCK)',
    });
  }
  const given: [flag: string, value: string | undefined][] = [
    ['--ssh', ssh],
    ['--identity', identity === undefined ? undefined : resolve(identity)],
    ['--known-hosts', options.knownHosts === undefined ? undefined : resolve(options.knownHosts)],
    ['--accept-host-key', options.acceptHostKey],
    ['--root', options.root],
    ['--container', options.container],
    ['--php', options.php],
  ];
  const flags = given.flatMap(([flag, value]) => (value === undefined ? [] : [flag, value]));
  const sudo = options.sudo === true ? ['--sudo'] : [];
  return {
    name,
    argv: [...self, 'watch', 'now', ...flags, ...sudo, '--log', log],
    everySeconds: everySeconds(every),
    log,
    environment: identity === undefined ? { SSH_AUTH_SOCK: agent } : {},
  };
}

/** Named after the server and the Nextcloud on it. Refuses (exit 2) what is no server elsewhere. */
export function herePlace({ ssh, root = '', container = '' }: WorkOptions, env: Environment): HerePlace {
  if (ssh === undefined) {
    throw new LatchkeyError('usage', '"--here" needs "--ssh user@host": it is for a server elsewhere', {
      exit: 2,
      field: '--ssh',
      hint: 'on the server itself: ncpatch watch install --local',
    });
  }
  const digest = createHash('sha256').update([ssh, root, container].join('\0')).digest('hex').slice(0, 8);
  const host = ssh.replace(/^.*@/, '').replace(/[^A-Za-z0-9.-]/g, '-');
  const name = `${host.slice(0, 64)}-${digest}`;
  return { name, log: `${stateFolder(env)}/watch-${name}.log` };
}

function stateFolder(env: Environment): string {
  const folder = env.XDG_STATE_HOME ?? '';
  return `${folder.startsWith('/') ? folder : `${env.HOME ?? '/'}/.local/state`}/latchkey`;
}

/** Pure: the paths of its files; for cron none, as the crontab is one for everything. */
export function herePaths(scheduler: HereScheduler, name: string, env: Environment): readonly string[] {
  const home = env.HOME ?? '/';
  if (scheduler === 'launchd') return [`${home}/Library/LaunchAgents/${launchdLabel(name)}.plist`];
  if (scheduler === 'cron') return [];
  const config = env.XDG_CONFIG_HOME ?? '';
  const unit = `${config.startsWith('/') ? config : `${home}/.config`}/systemd/user/${hereUnit(name)}`;
  return [`${unit}.service`, `${unit}.timer`];
}

/** Pure: what is in them. */
export function hereFiles(
  scheduler: HereScheduler,
  job: HereJob,
  env: Environment,
): readonly (readonly [path: string, text: string])[] {
  const texts = scheduler === 'launchd' ? [plist(job)] : [serviceUnit(job), timerUnit(job)];
  return herePaths(scheduler, job.name, env).map((path, i) => [path, texts[i] ?? '']);
}

export function hereUnit(name: string): string {
  return `latchkey-watch-${name}`;
}

export function launchdLabel(name: string): string {
  return `latchkey.watch.${name}`;
}

function serviceUnit(job: HereJob): string {
  assertPlain(job);
  const { name, argv, environment } = job;
  const variables = Object.entries(environment).map(([key, value]) => `Environment=${quoted(`${key}=${value}`)}\n`);
  return `# ${WRITTEN}
[Unit]
Description=Latchkey looks after its app on ${name}

[Service]
Type=oneshot
${variables.join('')}ExecStart=${commandWords(argv)}
TimeoutStartSec=3600
`;
}

function timerUnit({ name, everySeconds: seconds }: HereJob): string {
  return `# ${WRITTEN}
[Unit]
Description=Latchkey looks after its app on ${name}

[Timer]
OnStartupSec=60s
OnUnitActiveSec=${seconds}s
AccuracySec=10s

[Install]
WantedBy=timers.target
`;
}

function plist(job: HereJob): string {
  assertPlain(job);
  const { name, argv, everySeconds: seconds, environment } = job;
  const label = launchdLabel(name);
  return propertyList(
    {
      Label: label,
      ProgramArguments: argv,
      EnvironmentVariables: environment,
      StartInterval: seconds,
      RunAtLoad: true,
    },
    WRITTEN.replaceAll('--', '- -'),
  );
}

/** No file of a service can hold others. */
function assertPlain({ name, argv, environment }: HereJob): void {
  for (const word of [name, ...argv, ...Object.entries(environment).flat()]) {
    if (/\p{Cc}/u.test(word)) throw new TypeError('a word of the job holds a control character');
  }
}

const begins = (name: string): string => `# latchkey watch ${name}: ${WRITTEN}`;
const ends = (name: string): string => `# latchkey watch ${name}: end`;

/** Pure: the crontab with this job in it, once, and everything else as it was. */
export function withJob(crontab: string, job: HereJob): string {
  const rest = withoutJob(crontab, job.name);
  const variables = Object.entries(job.environment).map(([key, value]) => `${key}=${quoteForCron(value)} `);
  const line = `${cronTime(job.everySeconds)} ${variables.join('')}${job.argv.map(quoteForCron).join(' ')} >/dev/null 2>&1`;
  const gap = rest === '' || rest.endsWith('\n') ? '' : '\n';
  return `${rest}${gap}${begins(job.name)}\n${line}\n${ends(job.name)}\n`;
}

/** Pure: the crontab without it. Throws `crontab_damaged` (exit 3) where its end is missing, as all behind it may be the owner's. */
export function withoutJob(crontab: string, name: string): string {
  const start = crontab.split('\n').indexOf(begins(name));
  if (start === -1) return crontab;
  const lines = crontab.split('\n');
  const end = lines.indexOf(ends(name), start);
  if (end === -1) {
    throw new LatchkeyError('crontab_damaged', `your crontab has the begin of the watch of ${name} and not its end`, {
      exit: 3,
      hint: 'take its lines out yourself: crontab -e',
    });
  }
  return lines.toSpliced(start, end - start + 1).join('\n');
}

/** Whether the crontab has exactly this job. */
export function hasJob(crontab: string, name: string): boolean {
  return crontab.split('\n').includes(begins(name));
}

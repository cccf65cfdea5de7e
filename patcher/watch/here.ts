import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { LatchkeyError } from '../../platform/errors.ts';
import { run } from '../../platform/run.ts';
import {
  type HereJob,
  type HerePlace,
  type HereScheduler,
  hasJob,
  hereFiles,
  herePaths,
  hereUnit,
  launchdLabel,
  withJob,
  withoutJob,
} from './here-job.ts';

/** The administrator's machine. */
export interface Here {
  readonly platform: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly uid: number;
}

export interface HereReport {
  readonly changed: boolean;
  readonly scheduler: HereScheduler;
  /** Where what it has to say goes. */
  readonly log: string;
}

export interface HereStatus {
  readonly installed: boolean;
  readonly scheduler: HereScheduler;
  readonly log: string;
  /** The last line of the log. */
  readonly said: string | null;
}

const TIMEOUT_MS = 30_000;

/** Finds what can start a job here: launchd on macOS, the user's systemd, or cron. `no_scheduler` (exit 3) without any. */
export async function hereScheduler({ platform }: Here): Promise<HereScheduler> {
  if (platform === 'darwin') return 'launchd';
  if (await succeeds(['systemctl', '--user', 'show-environment'])) return 'systemd';
  if ((await call(['crontab', '-l'])).exit !== 127) return 'cron';
  throw new LatchkeyError('no_scheduler', 'this machine has neither a systemd of yours nor cron', {
    exit: 3,
    hint: 'install cron, or run "ncpatch watch now" by other means',
  });
}

/** Writes the files and has them started; nothing is done where both are as they should be. */
export async function installHere(job: HereJob, here: Here): Promise<HereReport> {
  const scheduler = await hereScheduler(here);
  await mkdir(dirname(job.log), { recursive: true, mode: 0o700 });
  let changed = false;
  for (const [path, text] of hereFiles(scheduler, job, here.env)) {
    if ((await textOf(path)) === text) continue;
    changed = true;
    await writeWhole(path, text);
  }
  if (scheduler === 'cron') {
    const crontab = await readCrontab();
    const wanted = withJob(crontab, job);
    changed = wanted !== crontab;
    if (changed) await must(['crontab', '-'], wanted);
  } else if (changed || !(await isRunning(scheduler, job.name, here))) {
    changed = true;
    await start(scheduler, job, here);
  }
  return { changed, scheduler, log: job.log };
}

/** Takes all of it away but the log. */
export async function removeHere(job: HerePlace, here: Here): Promise<HereReport> {
  const scheduler = await hereScheduler(here);
  if (scheduler === 'cron') {
    const crontab = await readCrontab();
    const wanted = withoutJob(crontab, job.name);
    if (wanted !== crontab) await must(['crontab', '-'], wanted);
    return { changed: wanted !== crontab, scheduler, log: job.log };
  }
  const paths = herePaths(scheduler, job.name, here.env);
  const there = await Promise.all(paths.map(textOf));
  const changed = there.some((text) => text !== null);
  if (changed) {
    if (scheduler === 'systemd') await call(['systemctl', '--user', 'disable', '--now', `${hereUnit(job.name)}.timer`]);
    else await call(['launchctl', 'bootout', `gui/${here.uid}/${launchdLabel(job.name)}`]);
    for (const path of paths) await rm(path, { force: true });
    if (scheduler === 'systemd') await must(['systemctl', '--user', 'daemon-reload']);
  }
  return { changed, scheduler, log: job.log };
}

export async function hereStatus(job: HerePlace, here: Here): Promise<HereStatus> {
  const scheduler = await hereScheduler(here);
  const paths = herePaths(scheduler, job.name, here.env);
  const installed =
    scheduler === 'cron'
      ? hasJob(await readCrontab(), job.name)
      : (await Promise.all(paths.map(textOf))).every((text) => text !== null);
  const said = ((await textOf(job.log)) ?? '').trimEnd().split('\n').at(-1) ?? '';
  return { installed, scheduler, log: job.log, said: said === '' ? null : said };
}

async function start(scheduler: 'systemd' | 'launchd', job: HereJob, here: Here): Promise<void> {
  if (scheduler === 'systemd') {
    await must(['systemctl', '--user', 'daemon-reload']);
    await must(['systemctl', '--user', 'enable', `${hereUnit(job.name)}.timer`]);
    await must(['systemctl', '--user', 'restart', `${hereUnit(job.name)}.timer`]);
    return;
  }
  const [path = ''] = herePaths(scheduler, job.name, here.env);
  await call(['launchctl', 'bootout', `gui/${here.uid}/${launchdLabel(job.name)}`]);
  await must(['launchctl', 'bootstrap', `gui/${here.uid}`, path]);
}

function isRunning(scheduler: 'systemd' | 'launchd', name: string, here: Here): Promise<boolean> {
  return scheduler === 'systemd'
    ? succeeds(['systemctl', '--user', 'is-active', '--quiet', `${hereUnit(name)}.timer`])
    : succeeds(['launchctl', 'print', `gui/${here.uid}/${launchdLabel(name)}`]);
}

/** A crontab that is not there yet is an empty one. */
async function readCrontab(): Promise<string> {
  const { exit, stdout } = await call(['crontab', '-l']);
  return exit === 0 ? stdout : '';
}

async function textOf(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

async function writeWhole(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.new`;
  const file = await open(temporary, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}

type Argv = readonly [string, ...string[]];

async function succeeds(argv: Argv): Promise<boolean> {
  return (await call(argv)).exit === 0;
}

async function call(argv: Argv): Promise<{ exit: number; stdout: string }> {
  try {
    const { exit, stdout } = await run(argv, { timeoutMs: TIMEOUT_MS, allowExit: 'any' });
    return { exit, stdout: stdout.toString('utf8') };
  } catch (error) {
    if (error instanceof LatchkeyError && error.code === 'command_missing') return { exit: 127, stdout: '' };
    throw error;
  }
}

async function must(argv: Argv, input?: string): Promise<void> {
  await run(argv, { timeoutMs: TIMEOUT_MS, ...(input === undefined ? {} : { input }) });
}

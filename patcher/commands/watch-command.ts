import { platform, userInfo } from 'node:os';
import type { Command } from 'commander';
import { printJson } from '../../platform/command-line.ts';
import { readLocalApp } from '../app-files.ts';
import { printFields } from '../report.ts';
import { hereStatus, installHere, removeHere } from '../watch/here.ts';
import { type HereJob, hereJobFor, herePlace } from '../watch/here-job.ts';
import { applyNow, logOnce } from '../watch/now.ts';
import { installWatch, removeWatch, type WatchReport } from '../watch/watch.ts';
import { watchLines, watchStatusOf } from '../watch/watch-status.ts';
import { openWorkplace } from '../workplace.ts';
import { at, type CommandDeps, type CommonOptions, changing, command, journalDeps } from './command.ts';

interface WatchOptions extends CommonOptions {
  readonly here?: boolean;
  readonly every?: string;
  readonly log?: string;
}

const EVERY = '15m';

/** `watch install`, `watch status`, `watch remove`, and `watch now`, which a timer on the administrator's machine runs. */
export function declareWatch(program: Command, deps: CommandDeps): void {
  const watch = program
    .command('watch')
    .description('have the app put back by itself after an upgrade that took it away or switched it off');
  changing(watch, 'install', 'let the server look after the app by itself; twice in a row changes nothing')
    .option('--here', 'let this machine look after it over ssh instead')
    .option('--every <time>', `with --here: how often, such as 5m or 1h; ${EVERY} unless told`)
    .option('--dry-run', 'only show what would be done')
    .action((options: WatchOptions) => (options.here === true ? installAtHome(options, deps) : install(options, deps)));
  changing(watch, 'remove', 'take the watch away again')
    .option('--here', 'the one on this machine')
    .option('--dry-run', 'only show what would be done')
    .action((options: WatchOptions) => (options.here === true ? removeAtHome(options, deps) : remove(options, deps)));
  command(watch, 'status', 'tell whether there is a watch, and how it fared')
    .option('--here', 'the one on this machine')
    .action((options: WatchOptions) => (options.here === true ? statusAtHome(options, deps) : status(options, deps)));
  changing(
    watch,
    'now',
    'apply while nobody is there: asks nothing, and says something only when there is something to say',
  )
    .option('--log <file>', 'where to say it, once for the same; standard output unless told')
    .action((options: WatchOptions) => now(options, deps));
}

async function install(options: WatchOptions, deps: CommandDeps): Promise<void> {
  await at(options, deps, async (place) => {
    const app = await readLocalApp(deps.appFolder);
    const report = await installWatch(place, app, journalDeps(options, deps), options.dryRun === true);
    tellChanges(deps, options, report, {
      done: 'the server looks after the app',
      nothing: 'nothing to do: the watch is as it should be',
    });
  });
}

async function remove(options: WatchOptions, deps: CommandDeps): Promise<void> {
  await at(options, deps, async (place) => {
    const report = await removeWatch(place, journalDeps(options, deps), options.dryRun === true);
    tellChanges(deps, options, report, { done: 'removed', nothing: 'nothing to do: there is no watch' });
  });
}

async function status(options: WatchOptions, deps: CommandDeps): Promise<void> {
  await at(options, deps, async (place) => {
    const watch = await watchStatusOf(place, await place.facts());
    if (watch.failing !== null && watch.failing.failures > 0) deps.endWith(1);
    if (options.json === true) return printJson(deps.terminal, watch);
    printFields(deps.terminal, watchLines(watch));
  });
}

async function installAtHome(options: WatchOptions, deps: CommandDeps): Promise<void> {
  const { terminal } = deps;
  const job = jobOf(options, deps);
  if (options.dryRun !== true) {
    // what works now without a question works in the night
    const place = await openWorkplace(options, { prompter: null, env: terminal.env });
    try {
      await place.facts();
    } finally {
      await place.close();
    }
  }
  if (options.dryRun === true) {
    if (options.json === true) return printJson(terminal, { dryRun: true, job });
    terminal.stdout.write(`[#] each ${job.everySeconds / 60} minutes: ${job.argv.join(' ')}\n`);
    return;
  }
  const report = await installHere(job, hereOf(deps));
  if (options.json === true) return printJson(terminal, report);
  terminal.stdout.write(
    report.changed ? 'this machine looks after the app\n' : 'nothing to do: the watch is as it should be\n',
  );
  printFields(terminal, [
    ['started by', report.scheduler],
    ['log', report.log],
  ]);
}

async function removeAtHome(options: WatchOptions, deps: CommandDeps): Promise<void> {
  const job = herePlace(options, deps.terminal.env);
  if (options.dryRun === true) {
    const { installed } = await hereStatus(job, hereOf(deps));
    if (options.json === true) return printJson(deps.terminal, { dryRun: true, installed });
    deps.terminal.stdout.write(
      installed ? `[#] remove the watch of ${job.name}\n` : 'nothing to do: there is no watch\n',
    );
    return;
  }
  const report = await removeHere(job, hereOf(deps));
  if (options.json === true) return printJson(deps.terminal, report);
  deps.terminal.stdout.write(report.changed ? 'removed\n' : 'nothing to do: there is no watch\n');
}

async function statusAtHome(options: WatchOptions, deps: CommandDeps): Promise<void> {
  const { installed, scheduler, log, said } = await hereStatus(herePlace(options, deps.terminal.env), hereOf(deps));
  if (options.json === true) return printJson(deps.terminal, { installed, scheduler, log, said });
  printFields(deps.terminal, [
    ['watch', installed ? `on this machine, started by ${scheduler}` : 'not installed on this machine'],
    ['log', log],
    ['last said', said ?? 'nothing'],
  ]);
}

async function now(options: WatchOptions, deps: CommandDeps): Promise<void> {
  const { terminal } = deps;
  const alone: CommandDeps = { ...deps, prompter: null };
  const silent = { step: () => undefined, note: () => undefined };
  const app = await readLocalApp(deps.appFolder);
  const open = () => openWorkplace(options, { prompter: null, env: terminal.env });
  const report = await applyNow(open, app, { ...journalDeps(options, alone), progress: silent });
  if (report.outcome === 'failed' || report.outcome === 'unproved') deps.endWith(1);
  if (options.log !== undefined) await logOnce(options.log, report.line ?? report.outcome, deps.now());
  if (options.json === true) return printJson(terminal, report);
  if (options.log === undefined && report.line !== null) terminal.stdout.write(`${report.line}\n`);
}

function jobOf(options: WatchOptions, deps: CommandDeps): HereJob {
  const { env } = deps.terminal;
  return hereJobFor({ options, self: deps.self, every: options.every ?? EVERY, env });
}

function hereOf({ terminal }: CommandDeps) {
  return { platform: platform(), env: terminal.env, uid: userInfo().uid };
}

function tellChanges(
  { terminal }: CommandDeps,
  options: CommonOptions,
  report: WatchReport,
  words: { readonly done: string; readonly nothing: string },
): void {
  if (options.json === true) printJson(terminal, report);
  else if (report.changes.length === 0) terminal.stdout.write(`${words.nothing}\n`);
  else if (!report.dryRun) terminal.stdout.write(`${words.done}\n`);
  else for (const { what, diff } of report.changes) terminal.stdout.write(`[#] ${what}\n${diff}`);
}

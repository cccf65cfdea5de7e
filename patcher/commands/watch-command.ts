import type { Command } from 'commander';
import { printJson } from '../../platform/command-line.ts';
import { readLocalApp } from '../app-files.ts';
import { printFields } from '../report.ts';
import { installWatch, removeWatch, type WatchReport } from '../watch/watch.ts';
import { watchLines, watchStatusOf } from '../watch/watch-status.ts';
import { at, type CommandDeps, type CommonOptions, changing, command, journalDeps } from './command.ts';

/** `watch install`, `watch status`, `watch remove` and `watch now`. */
export function declareWatch(program: Command, deps: CommandDeps): void {
  const { terminal } = deps;
  const watch = program
    .command('watch')
    .description('have the app put back by itself after an upgrade that took it away or switched it off');
  changing(watch, 'install', 'let the server look after the app by itself; twice in a row changes nothing')
    .option('--dry-run', 'only show what would be done')
    .action((options: CommonOptions) =>
      at(options, deps, async (place) => {
        const app = await readLocalApp(deps.appFolder);
        const report = await installWatch(place, app, journalDeps(options, deps), options.dryRun === true);
        tellChanges(
          deps,
          options,
          report,
          'the server looks after the app',
          'nothing to do: the watch is as it should be',
        );
      }),
    );
  changing(watch, 'remove', 'take the watch away again')
    .option('--dry-run', 'only show what would be done')
    .action((options: CommonOptions) =>
      at(options, deps, async (place) => {
        const report = await removeWatch(place, journalDeps(options, deps), options.dryRun === true);
        tellChanges(deps, options, report, 'removed', 'nothing to do: there is no watch');
      }),
    );
  command(watch, 'status', 'tell whether there is a watch, and how it fared').action((options: CommonOptions) =>
    at(options, deps, async (place) => {
      const status = await watchStatusOf(place, await place.facts());
      if (status.failing !== null && status.failing.failures > 0) deps.endWith(1);
      if (options.json === true) return printJson(terminal, status);
      printFields(terminal, watchLines(status));
    }),
  );
}

function tellChanges(
  { terminal }: CommandDeps,
  options: CommonOptions,
  report: WatchReport,
  done: string,
  nothing: string,
): void {
  if (options.json === true) printJson(terminal, report);
  else if (report.changes.length === 0) terminal.stdout.write(`${nothing}\n`);
  else if (!report.dryRun) terminal.stdout.write(`${done}\n`);
  else for (const { what, diff } of report.changes) terminal.stdout.write(`[#] ${what}\n${diff}`);
}

import { type Command, Option } from 'commander';
import { printJson } from '../../platform/command-line.ts';
import { readLocalApp } from '../app-files.ts';
import { apply } from '../apply.ts';
import { remove } from '../remove.ts';
import { rollback } from '../rollback.ts';
import { at, type CommandDeps, type CommonOptions, changing, journalDeps } from './command.ts';
import { showPlan } from './show-plan.ts';

/** Which hook is wanted; without it the one that was chosen before. */
export function hookOption(): Option {
  return new Option(
    '--hook <name>',
    'where nextcloud is caught: in the app, or in its own code, so that the app may be off',
  ).choices(['app', 'core']);
}

/** `apply`, `rollback` and `remove`. */
export function declareChanging(program: Command, deps: CommandDeps): void {
  const { terminal } = deps;
  changing(program, 'apply', 'install or repair the app, as one transaction; twice in a row changes nothing')
    .option('--dry-run', 'only show what would be done')
    .addOption(hookOption())
    .action(async (options: CommonOptions) => {
      if (options.dryRun === true) return showPlan(options, deps);
      await at(options, deps, async (place) => {
        const app = await readLocalApp(deps.appFolder);
        const report = await apply(place, app, journalDeps(options, deps));
        const { untried } = report.verification;
        if (untried !== null) deps.endWith(1);
        if (options.json === true) return printJson(terminal, report);
        if (untried === null) {
          terminal.stdout.write(
            report.changed ? 'applied and verified\n' : 'nothing to do: everything is as it should be\n',
          );
          return;
        }
        terminal.stdout.write(report.changed ? 'applied; not verified\n' : 'nothing to do; not verified\n');
        terminal.stderr.write(`ncpatch: warning: no key could be released: ${untried.message} (${untried.code})\n`);
        if (untried.hint !== null) terminal.stderr.write(`ncpatch: hint: ${untried.hint}; then: ncpatch verify\n`);
      });
    });
  changing(program, 'rollback', 'undo a transaction that was interrupted').action((options: CommonOptions) =>
    at(options, deps, async (place) => {
      const report = await rollback(place, journalDeps(options, deps));
      if (options.json === true) return printJson(terminal, report);
      const words = { nothing: 'nothing to undo', finished: 'finished what was committed', undone: 'undone' };
      terminal.stdout.write(`${words[report.outcome]}\n`);
      for (const { what, reason } of report.left) terminal.stdout.write(`left alone  ${what}: ${reason}\n`);
    }),
  );
  changing(program, 'remove', 'take the app away again; refused while a key is on the key server only')
    .option('--dry-run', 'only show what would be done')
    .action((options: CommonOptions) =>
      at(options, deps, async (place) => {
        const report = await remove(place, journalDeps(options, deps), options.dryRun === true);
        if (options.json === true) return printJson(terminal, report);
        if (!report.dryRun) terminal.stdout.write('removed\n');
        else for (const { what, diff } of report.changes) terminal.stdout.write(`[#] ${what}\n${diff}`);
      }),
    );
}

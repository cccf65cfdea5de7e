import type { Command } from 'commander';
import { printJson, printTable } from '../../platform/command-line.ts';
import { obstaclesOf } from '../obstacles.ts';
import { progressOn } from '../progress.ts';
import { factLines, printFields, printObstacles } from '../report.ts';
import { statusOf } from '../status.ts';
import { verify } from '../verify.ts';
import { listInstances } from '../workplace.ts';
import { hookOption } from './changing.ts';
import { at, type CommandDeps, type CommonOptions, command } from './command.ts';
import { showPlan } from './show-plan.ts';

/** `detect`, `plan`, `status` and `verify`, which change nothing. */
export function declareLooking(program: Command, deps: CommandDeps): void {
  const { terminal } = deps;
  command(program, 'detect', 'look at a nextcloud and tell what stands in the way')
    .option('--all', 'only list every nextcloud on the server')
    .action(async (options: CommonOptions & { all?: boolean }) => {
      if (options.all === true) return printInstances(options, deps);
      await at(options, deps, async (place) => {
        const facts = await place.facts();
        const obstacles = obstaclesOf(facts);
        if (options.json === true) return printJson(terminal, { ...facts, obstacles });
        printFields(terminal, factLines(facts));
        printObstacles(terminal, obstacles);
      });
    });
  command(program, 'plan', 'show what apply would do, with the exact changes')
    .addOption(hookOption())
    .action((options: CommonOptions) => showPlan(options, deps));
  command(program, 'status', 'tell how things stand, without asking the key server').action((options: CommonOptions) =>
    at(options, deps, async (place) => {
      const status = await statusOf(place, await place.facts());
      if (options.json === true) return printJson(terminal, status);
      printFields(terminal, status.lines);
      printObstacles(terminal, status.problems);
    }),
  );
  command(program, 'verify', 'show that the app works: by a decryption, and after escrow by a real release').action(
    (options: CommonOptions) =>
      at(options, deps, async (place) => {
        const result = await verify(place.instance.occ, await place.facts(), progressOn(terminal.stderr));
        if (options.json === true) return printJson(terminal, result);
        printFields(terminal, [
          ['hook', result.hook],
          [
            'release',
            result.release === null ? 'no key has moved yet' : `from the key server in ${result.release.ms} ms`,
          ],
          ['decryption', result.decrypt === null ? 'encryption is off' : 'works'],
        ]);
      }),
  );
}

async function printInstances(options: CommonOptions, deps: CommandDeps): Promise<void> {
  const found = await listInstances(options, { prompter: deps.prompter, env: deps.terminal.env });
  const rows = found.map(({ target, sighting }) => ({ target: target.name, ...sighting }));
  if (options.json === true) return printJson(deps.terminal, rows);
  printTable(
    deps.terminal,
    ['root', 'version', 'kind', 'container', 'config'],
    rows.map((row) => [
      row.root,
      row.versionString,
      row.target,
      row.container ?? '',
      row.configFile ?? (row.versionString === 'not running' ? 'unknown' : 'none: not installed'),
    ]),
  );
}

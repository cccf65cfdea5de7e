import { printJson } from '../../platform/command-line.ts';
import { readLocalApp } from '../app-files.ts';
import { planFor } from '../plan.ts';
import { describePlan, type PlannedChange } from '../planned-changes.ts';
import { printObstacles } from '../report.ts';
import { at, type CommandDeps, type CommonOptions } from './command.ts';

/** What `apply` would do, with the exact changes. */
export async function showPlan(options: CommonOptions, deps: CommandDeps): Promise<void> {
  const { terminal } = deps;
  await at(options, deps, async (place) => {
    const facts = await place.facts();
    const app = await readLocalApp(deps.appFolder);
    const plan = planFor(facts, app, place.hook ?? null);
    const changes: PlannedChange[] = await describePlan(place, [...plan.steps, ...plan.afterProof], app);
    if (options.json === true)
      return printJson(terminal, {
        steps: plan.steps,
        afterProof: plan.afterProof,
        changes,
        obstacles: plan.obstacles,
      });
    printObstacles(terminal, plan.obstacles);
    if (changes.length === 0) terminal.stdout.write('nothing to do: everything is as it should be\n');
    for (const { what, diff } of changes) terminal.stdout.write(`[#] ${what}\n${diff}`);
  });
}

import { printJson, printTable, runProgram } from '../../platform/command-line.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { downloadRelease } from '../harness/nextcloud-download.ts';
import { listTrees, treesFolder } from '../harness/nextcloud-tree.ts';
import { sweepStale } from '../harness/stale.ts';
import { runAioLife, runContainerLife } from './container-life.ts';
import { runCoreLife } from './core-life.ts';
import { type LifeResult, lifeObstacle, runNextcloudLife } from './life.ts';
import { runSnapLife } from './snap-life.ts';

interface Options {
  readonly version?: readonly string[];
  readonly download?: readonly string[];
  readonly json?: boolean;
}

/** Kinds of lives, each told in a table of its own. */
const lives: readonly { readonly title: string; readonly run: typeof runNextcloudLife }[] = [
  { title: 'hook app', run: runNextcloudLife },
  { title: 'hook core', run: runCoreLife },
  { title: 'container', run: runContainerLife },
  { title: 'container, AIO', run: runAioLife },
  { title: 'snap', run: runSnapLife },
];
interface Lived extends LifeResult {
  readonly title: string;
}

const { stdout, stderr } = process;
const terminal = { stdin: process.stdin, stdout, stderr, env: process.env };
const say = (line: string): void => void stderr.write(`${line}\n`);
const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

function cell(result: LifeResult, name: string): string {
  const step = result.steps.find((one) => one.name === name);
  if (step === undefined) return '-';
  if (step.outcome === 'passed') return `${(step.ms / 1000).toFixed(1)}s`;
  return step.outcome === 'failed' ? 'FAILED' : 'skipped';
}

function printResults(title: string, results: readonly Lived[]): void {
  const stepNames = (results[0]?.steps ?? []).map(({ name }) => name);
  const rows = results.map((result) => [
    result.version,
    ...stepNames.map((name) => cell(result, name)),
    `${(result.ms / 1000).toFixed(0)}s`,
  ]);
  stdout.write('\n');
  printTable(terminal, [title, ...stepNames, 'whole'], rows);
  for (const { version, network, steps, left } of results) {
    stdout.write(`\n${version}: ${network}\n`);
    for (const { name, outcome, words } of steps) {
      if (outcome !== 'passed') stdout.write(`  ${name} ${outcome}: ${words}\n`);
    }
    for (const words of left) stdout.write(`  not cleaned up: ${words}\n`);
  }
}

async function runAll(options: Options): Promise<void> {
  for (const version of options.download ?? []) await downloadRelease(version, { into: treesFolder(), say });
  const trees = listTrees();
  const wanted = options.version ?? options.download;
  const chosen = trees.filter((tree) => wanted === undefined || wanted.includes(tree.version));
  const unknown = (wanted ?? []).find((version) => !trees.some((tree) => tree.version === version));
  if (unknown !== undefined || chosen.length === 0) {
    throw new LatchkeyError(
      'no_release',
      `there is no release ${unknown ?? ''} in ${treesFolder()}`.replace('  ', ' '),
      {
        hint: 'fetch one: npm run test:nextcloud -- --download 33.0.1',
      },
    );
  }
  const obstacle = lifeObstacle();
  if (obstacle !== null)
    throw new LatchkeyError('cannot_run', obstacle, { hint: 'npm test, as root, installs what is needed' });
  for (const swept of await sweepStale()) say(`removed ${swept}, left by a test that was killed`);

  const results: Lived[] = [];
  for (const { title, run } of lives) {
    for (const tree of chosen) {
      say(`\nNextcloud ${tree.version}, ${title}`);
      results.push({ title, ...(await run({ tree, trees, say })) });
    }
  }
  const count = (outcome: string): number =>
    results.flatMap((result) => result.steps).filter((step) => step.outcome === outcome).length;
  const [passed, failed, skipped] = [count('passed'), count('failed'), count('skipped')];
  if (options.json === true) printJson(terminal, { passed, failed, skipped, versions: results });
  else {
    for (const { title } of lives) {
      printResults(
        title,
        results.filter((result) => result.title === title),
      );
    }
    stdout.write(`\n${passed} passed, ${failed} failed, ${skipped} skipped\n`);
  }
  if (failed > 0) process.exitCode = 1;
}

const code = await runProgram(
  'test:nextcloud',
  (program) =>
    program
      .description('runs the whole life of a Nextcloud with Latchkey on every release at hand')
      .option('--version <x.y.z>', 'only this release; may be given again', collect)
      .option('--download <x.y.z>', 'fetch this official release first, verified; may be given again', collect)
      .option('--json', 'print JSON for programs')
      .action((options: Options) => runAll(options)),
  process.argv.slice(2),
  terminal,
);
if (code !== 0) process.exitCode = code;

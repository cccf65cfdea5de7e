import { printJson, printTable, runProgram } from '../../platform/command-line.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { sweepStale } from '../harness/stale.ts';
import type { Verdict } from './attack.ts';
import { playAttacks } from './play.ts';
import { attacks } from './rows.ts';

interface Options {
  readonly row?: readonly string[];
  readonly json?: boolean;
}

const terminal = { stdin: process.stdin, stdout: process.stdout, stderr: process.stderr, env: process.env };
const say = (line: string): void => void process.stderr.write(`${line}\n`);
const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

const shown: Readonly<Record<Verdict, string>> = {
  withstood: 'withstood',
  fell: 'FELL',
  skipped: 'skipped',
  'gets-the-key': 'GETS THE KEY',
};

async function runRows(options: Options): Promise<void> {
  const unknown = options.row?.find((row) => !attacks.some((attack) => attack.row === row));
  if (unknown !== undefined) {
    const rows = attacks.map((attack) => attack.row).join(', ');
    throw new LatchkeyError('usage', `"--row" must be one of ${rows}, got ${JSON.stringify(unknown)}`, { exit: 2 });
  }
  const chosen = attacks.filter((attack) => options.row === undefined || options.row.includes(attack.row));
  for (const swept of await sweepStale()) say(`removed ${swept}, left by a test that was killed`);
  const { results, left } = await playAttacks(chosen, say);
  const count = (...verdicts: Verdict[]): number => results.filter((one) => verdicts.includes(one.outcome)).length;
  const [passed, failed, skipped] = [count('withstood', 'gets-the-key'), count('fell'), count('skipped')];
  if (options.json === true) printJson(terminal, { passed, failed, skipped, rows: results, left });
  else {
    const header = ['#', 'the attacker has', 'stock Nextcloud', 'with Latchkey', 'what happened'];
    const rows = results.map((one) => [one.row, one.attackerHas, one.stock, one.latchkey, shown[one.outcome]]);
    process.stdout.write('\n');
    printTable(terminal, header, rows);
    process.stdout.write('\n');
    for (const { row, evidence } of results) process.stdout.write(`${row.padStart(2)}  ${evidence}\n`);
    for (const words of left) process.stdout.write(`not cleaned up: ${words}\n`);
    process.stdout.write(`\n${passed} passed, ${failed} failed, ${skipped} skipped\n`);
  }
  if (failed > 0) process.exitCode = 1;
}

const code = await runProgram(
  'attacks',
  (program) =>
    program
      .description('plays every attacker of SECURITY.md and prints who gets the key')
      .option('--row <n>', 'only this row; may be given again', collect)
      .option('--json', 'print JSON for programs')
      .action((options: Options) => runRows(options)),
  process.argv.slice(2),
  terminal,
);
if (code !== 0) process.exitCode = code;

import { printJson, printTable, runProgram } from '../../platform/command-line.ts';
import { parseInteger } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { Scene } from '../attacks/scene.ts';
import { sweepStale } from '../harness/stale.ts';
import { deletedFile, fullDisk, lockedStore, readOnlyDisk } from './disk-faults.ts';
import { type Fault, type FaultReport, recoveryLimit } from './fault.ts';
import { idleConnections, mutatedRequests, slowConnections } from './line-faults.ts';
import { clockJumps, killed } from './process-faults.ts';

const faults: readonly Fault[] = [
  fullDisk,
  readOnlyDisk,
  deletedFile,
  lockedStore,
  clockJumps,
  idleConnections,
  slowConnections,
  mutatedRequests,
  killed,
];

interface Options {
  readonly fault?: readonly string[];
  readonly kills: string;
  readonly requests: string;
  readonly minutes: string;
  readonly json?: boolean;
}

type Result = { readonly fault: string } & (FaultReport | { readonly failed: string });

const terminal = { stdin: process.stdin, stdout: process.stdout, stderr: process.stderr, env: process.env };
const say = (line: string): void => void process.stderr.write(`${line}\n`);
const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

async function play(fault: Fault, options: Options): Promise<Result> {
  const scene = new Scene(say);
  const unguard = scene.cleanup.guard();
  const effort = {
    kills: parseInteger(options.kills, '--kills', { min: 1, max: 100_000 }),
    requests: parseInteger(options.requests, '--requests', { min: 1, max: 100_000_000 }),
    timeLimit: parseInteger(options.minutes, '--minutes', { min: 1, max: 600 }) * 60_000,
  };
  try {
    return { fault: fault.name, ...(await fault.run(scene, effort)) };
  } catch (error) {
    return { fault: fault.name, failed: (error as Error).message };
  } finally {
    for (const left of await scene.close()) say(`not cleaned up: ${left}`);
    unguard();
  }
}

async function runFaults(options: Options): Promise<void> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    throw new LatchkeyError('unfit', 'these faults are made with mounts and many addresses: they need Linux and root', {
      exit: 3,
    });
  }
  const unknown = options.fault?.find((name) => !faults.some((fault) => fault.name === name));
  if (unknown !== undefined) {
    const names = faults.map((fault) => `"${fault.name}"`).join(', ');
    throw new LatchkeyError('usage', `"--fault" must be one of ${names}`, { exit: 2 });
  }
  for (const swept of await sweepStale()) say(`removed ${swept}, left by a test that was killed`);
  const results: Result[] = [];
  for (const fault of faults.filter(({ name }) => options.fault?.includes(name) ?? true)) {
    const result = await play(fault, options);
    say(`${'failed' in result ? 'FAILED' : 'ok'.padEnd(6)}  ${fault.name}`);
    results.push(result);
  }
  if (options.json === true) printJson(terminal, { results });
  else {
    const rows = results.map((result) =>
      'failed' in result
        ? [result.fault, `FAILED: ${result.failed}`, '', '', '']
        : [result.fault, result.done, result.meanwhile, `${result.servedAgainMs} ms`, String(result.releases)],
    );
    printTable(terminal, ['fault', 'what was done', 'meanwhile', 'served again', 'releases, all on record'], rows);
  }
  if (results.some((result) => 'failed' in result)) process.exitCode = 1;
}

const code = await runProgram(
  'endurance',
  (program) =>
    program
      .description(
        `breaks things under a running key server: nothing may come out without a record, and an honest host is served again within ${recoveryLimit / 1000} s`,
      )
      .option('--fault <name>', 'only this one; may be given again', collect)
      .option('--kills <n>', 'how often the server is killed', '1000')
      .option('--requests <n>', 'how many mutated requests are sent', '1000000')
      .option('--minutes <n>', 'at most so long for each fault', '15')
      .option('--json', 'print JSON for programs')
      .action((options: Options) => runFaults(options)),
  process.argv.slice(2),
  terminal,
);
if (code !== 0) process.exitCode = code;

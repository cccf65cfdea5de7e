import { readFileSync } from 'node:fs';
import { addApprovalCommands } from '../../keyserver/commands/approval.ts';
import { addStartCommand } from '../../keyserver/commands/start.ts';
import { systemRandom } from '../../platform/clock.ts';
import type { CommandIo } from '../../platform/command-io.ts';
import { runProgram } from '../../platform/command-line.ts';

/**
 * `keyserver start` and `keyserver approval` by a clock that is ahead of the machine's by the milliseconds in a file: the
 * stand-in for hours that nobody wants to wait. `moved-clock-keyserver.ts SKEW-FILE start|approval …`
 */
const [skewFile = '', ...argv] = process.argv.slice(2);
const stop = new AbortController();
process.on('SIGTERM', () => stop.abort());
const terminal = { stdin: process.stdin, stdout: process.stdout, stderr: process.stderr, env: process.env };
const io: CommandIo = {
  terminal,
  clock: { now: () => Date.now() + Number(readFileSync(skewFile, 'utf8')) },
  random: systemRandom,
  stopSignal: () => stop.signal,
};
process.exitCode = await runProgram(
  'keyserver',
  (program) => {
    addStartCommand(program, io);
    addApprovalCommands(program, io);
  },
  argv,
  terminal,
);

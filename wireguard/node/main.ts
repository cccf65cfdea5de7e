import { systemClock, systemRandom } from '../../platform/clock.ts';
import type { CommandIo } from '../../platform/command-io.ts';
import { runProgram } from '../../platform/command-line.ts';
import { programVersion } from '../../platform/program-place.ts';
import { stopSignalOf } from '../../platform/stop-signal.ts';
import { addNodeCommands } from './commands.ts';

const terminal = { stdin: process.stdin, stdout: process.stdout, stderr: process.stderr, env: process.env };
const io: CommandIo = { terminal, clock: systemClock, random: systemRandom, stopSignal: stopSignalOf(process) };

process.exitCode = await runProgram(
  'wgnode',
  (program) => {
    program
      .description('tells how a node of the private network is, to those inside of it')
      .version(programVersion(), '--version', 'say which version this is');
    addNodeCommands(program, io);
  },
  process.argv.slice(2),
  terminal,
);

import { systemRandom } from '../platform/clock.ts';
import { runProgram } from '../platform/command-line.ts';
import { addGenerateCommand } from './commands/generate.ts';

process.umask(0o077);
const terminal = { stdin: process.stdin, stdout: process.stdout, stderr: process.stderr, env: process.env };

process.exitCode = await runProgram(
  'wghub',
  (program) => {
    program.description('keeps the private network that keys travel on');
    addGenerateCommand(program, { terminal, random: systemRandom });
  },
  process.argv.slice(2),
  terminal,
);

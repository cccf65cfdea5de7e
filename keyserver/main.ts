import { systemClock, systemRandom } from '../platform/clock.ts';
import { runProgram } from '../platform/command-line.ts';
import { addAuditCommands } from './commands/audit.ts';
import { addClientCommands } from './commands/client.ts';
import type { CommandIo } from './commands/command-io.ts';
import { addDoctorCommand } from './commands/doctor.ts';
import { addInitCommand } from './commands/init.ts';
import { addKeyCommands } from './commands/key.ts';
import { addKillCommands } from './commands/kill.ts';
import { addStartCommand } from './commands/start.ts';
import { addStatusCommand } from './commands/status.ts';

process.umask(0o077);
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());

const terminal = { stdin: process.stdin, stdout: process.stdout, stderr: process.stderr, env: process.env };
const io: CommandIo = { terminal, clock: systemClock, random: systemRandom, stop: stop.signal };

process.exitCode = await runProgram(
  'keyserver',
  (program) => {
    program.description('keeps the keys of Nextcloud servers and releases them through gates');
    addInitCommand(program, io);
    addStartCommand(program, io);
    addStatusCommand(program, io);
    addClientCommands(program, io);
    addKeyCommands(program, io);
    addKillCommands(program, io);
    addAuditCommands(program, io);
    addDoctorCommand(program, io);
  },
  process.argv.slice(2),
  terminal,
);

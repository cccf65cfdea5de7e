import { systemClock, systemRandom } from '../platform/clock.ts';
import type { CommandIo } from '../platform/command-io.ts';
import { runProgram } from '../platform/command-line.ts';
import { programVersion } from '../platform/program-place.ts';
import { stopSignalOf } from '../platform/stop-signal.ts';
import { addAdminCommands } from './commands/admin.ts';
import { addAlertCommands } from './commands/alert.ts';
import { addApprovalCommands } from './commands/approval.ts';
import { addAuditCommands } from './commands/audit.ts';
import { addBackupCommands } from './commands/backup.ts';
import { addCertCommands } from './commands/cert.ts';
import { addClientCommands } from './commands/client.ts';
import { addDoctorCommand } from './commands/doctor.ts';
import { addInitCommand } from './commands/init.ts';
import { addKeyCommands } from './commands/key.ts';
import { addKillCommands } from './commands/kill.ts';
import { addListenCommand } from './commands/listen.ts';
import { addServiceCommands } from './commands/service.ts';
import { addStartCommand } from './commands/start.ts';
import { addStatusCommand } from './commands/status.ts';
import { addVaultCommands } from './commands/vault.ts';

process.umask(0o077);
const terminal = { stdin: process.stdin, stdout: process.stdout, stderr: process.stderr, env: process.env };
const io: CommandIo = { terminal, clock: systemClock, random: systemRandom, stopSignal: stopSignalOf(process) };

process.exitCode = await runProgram(
  'keyserver',
  (program) => {
    program
      .description('keeps the keys of Nextcloud servers and releases them through gates')
      .version(programVersion(), '--version', 'say which version this is');
    addInitCommand(program, io);
    addStartCommand(program, io);
    addListenCommand(program, io);
    addServiceCommands(program, io);
    addStatusCommand(program, io);
    addClientCommands(program, io);
    addCertCommands(program, io);
    addKeyCommands(program, io);
    addVaultCommands(program, io);
    addApprovalCommands(program, io);
    addKillCommands(program, io);
    addAuditCommands(program, io);
    addAdminCommands(program, io);
    addAlertCommands(program, io);
    addBackupCommands(program, io);
    addDoctorCommand(program, io);
  },
  process.argv.slice(2),
  terminal,
);

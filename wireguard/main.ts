import { systemClock, systemRandom } from '../platform/clock.ts';
import type { CommandIo } from '../platform/command-io.ts';
import { runProgram } from '../platform/command-line.ts';
import { programVersion } from '../platform/program-place.ts';
import { stopSignalOf } from '../platform/stop-signal.ts';
import { addAdminCommands } from './commands/admin.ts';
import { addAuditCommands } from './commands/audit.ts';
import { addBackupCommand } from './commands/backup.ts';
import { addBackupTimerCommand } from './commands/backup-timer.ts';
import { addCheckCommand } from './commands/check.ts';
import { addDoctorCommand } from './commands/doctor.ts';
import { addExportCommand } from './commands/export.ts';
import { addFirewallCommands } from './commands/firewall.ts';
import { addGatewayCommands } from './commands/gateway.ts';
import { addGenerateCommand } from './commands/generate.ts';
import { addInitCommand } from './commands/init.ts';
import { addInterfaceCommand } from './commands/interface.ts';
import { addJoinCommand } from './commands/join.ts';
import { addJwtCommands } from './commands/jwt.ts';
import { addMigrateCommand } from './commands/migrate.ts';
import { addPeerCommands } from './commands/peer.ts';
import { addProvisionCommands } from './commands/provision.ts';
import { addProxmoxCommands } from './commands/proxmox.ts';
import { addRestoreCommand } from './commands/restore.ts';
import { addServiceCommands } from './commands/service.ts';
import { addSpokeCommands } from './commands/spoke.ts';
import { addStartCommand } from './commands/start.ts';
import { addStatusCommand } from './commands/status.ts';
import { addTlsCommands } from './commands/tls.ts';
import { addTokenCommands } from './commands/token.ts';

process.umask(0o077);
const terminal = { stdin: process.stdin, stdout: process.stdout, stderr: process.stderr, env: process.env };
const io: CommandIo = { terminal, clock: systemClock, random: systemRandom, stopSignal: stopSignalOf(process) };

process.exitCode = await runProgram(
  'wghub',
  (program) => {
    program
      .description('keeps the private network that keys travel on')
      .version(programVersion(), '--version', 'say which version this is');
    addInitCommand(program, io);
    addJoinCommand(program, io);
    addStartCommand(program, io);
    addServiceCommands(program, io);
    addStatusCommand(program, io);
    addPeerCommands(program, io);
    addSpokeCommands(program, io);
    addProxmoxCommands(program, io);
    addInterfaceCommand(program, io);
    addGatewayCommands(program, io);
    addBackupCommand(program, io);
    addRestoreCommand(program, io);
    addMigrateCommand(program, io);
    addBackupTimerCommand(program, io);
    addGenerateCommand(program, io);
    addTlsCommands(program, io);
    addFirewallCommands(program, io);
    addProvisionCommands(program, io);
    addAdminCommands(program, io);
    addTokenCommands(program, io);
    addJwtCommands(program, io);
    addAuditCommands(program, io);
    addCheckCommand(program, io);
    addExportCommand(program, io);
    addDoctorCommand(program, io);
  },
  process.argv.slice(2),
  terminal,
);

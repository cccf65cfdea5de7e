import type { Command } from 'commander';
import { programVersion } from '../../platform/program-place.ts';
import { declareAudit } from './audit-command.ts';
import { declareChanging } from './changing.ts';
import type { CommandDeps } from './command.ts';
import { declareDoctor } from './doctor-command.ts';
import { declareFleet } from './fleet.ts';
import { declareKeys } from './key-commands.ts';
import { declareLooking } from './looking.ts';
import { declareServers } from './servers-command.ts';
import { declareSetup } from './setup-command.ts';
import { declareTunnel } from './tunnel-command.ts';
import { declareWatch } from './watch-command.ts';

/** Declares every command of `ncpatch`. */
export function declareCommands(program: Command, deps: CommandDeps): void {
  program.description("keeps a Nextcloud's encryption keys on another machine, and takes that back again");
  program.version(programVersion(), '--version', 'say which version this is');
  declareSetup(program, deps);
  declareTunnel(program, deps);
  declareLooking(program, deps);
  declareAudit(program, deps);
  declareDoctor(program, deps);
  declareChanging(program, deps);
  declareKeys(program, deps);
  declareServers(program, deps);
  declareWatch(program, deps);
  declareFleet(program, deps); // last: it looks at what the others have declared
}

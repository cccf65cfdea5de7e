import type { Command } from 'commander';
import { printJson } from '../../platform/command-line.ts';
import { readLocalApp } from '../app-files.ts';
import { audit } from '../audit/audit.ts';
import { printAudit } from '../audit/audit-lines.ts';
import { progressOn } from '../progress.ts';
import { openContainer } from '../targets/container.ts';
import { connect } from '../workplace.ts';
import { type CommandDeps, type CommonOptions, command } from './command.ts';

/** `audit`. */
export function declareAudit(program: Command, deps: CommandDeps): void {
  command(program, 'audit', 'compare the code with what the vendor signed, checked on this machine; runs nothing there')
    .option('--disk <folder>', "where the server's disk is mounted, when --root is on a copy of it")
    .action((options: CommonOptions & { disk?: string }) => runAudit(options, deps));
}

/** Needs no working Nextcloud, so it only connects. */
async function runAudit(options: CommonOptions & { disk?: string }, deps: CommandDeps): Promise<void> {
  const { terminal } = deps;
  const machine = await connect(options, { prompter: deps.prompter, env: terminal.env });
  try {
    const transport =
      options.container === undefined ? machine : (await openContainer(machine, options.container)).inside;
    const app = await readLocalApp(deps.appFolder);
    const report = await audit(transport, options, { app, now: deps.now, progress: progressOn(terminal.stderr) });
    if (!report.clean) deps.endWith(1);
    if (options.json === true) return printJson(terminal, report);
    printAudit(terminal, report);
  } finally {
    await machine.close();
  }
}

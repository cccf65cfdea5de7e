import type { Command } from 'commander';
import { printJson } from '../../platform/command-line.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { readLocalApp } from '../app-files.ts';
import { type Audited, audit } from '../audit/audit.ts';
import { printAccepted, printAudit } from '../audit/audit-lines.ts';
import { accepting, type Baseline, firstBaseline, isAtOrBelow, raised, type Server } from '../audit/baseline.ts';
import { defaultKeyFile } from '../audit/baseline-key.ts';
import { BaselineStore } from '../audit/baseline-store.ts';
import { type StablePath, stablePaths } from '../audit/stable-path.ts';
import type { Finding } from '../audit/verdict.ts';
import { progressOn } from '../progress.ts';
import { connect } from '../workplace.ts';
import { type CommandDeps, type CommonOptions, command } from './command.ts';

interface AuditOptions extends CommonOptions {
  readonly disk?: string;
  readonly baseline?: string;
  readonly baselineKey?: string;
  readonly newBaseline?: boolean;
}

interface AcceptOptions extends AuditOptions {
  readonly reason?: string;
  readonly everything?: boolean;
}

/** `audit` and `audit accept`. */
export function declareAudit(program: Command, deps: CommandDeps): void {
  program.enablePositionalOptions(); // what follows "accept" belongs to it
  const words = 'compare the code with what the vendor signed, checked on this machine; runs nothing there';
  const check = withBaseline(command(program, 'audit', words))
    .option('--new-baseline', 'write the first baseline, into a new file')
    .action((options: AuditOptions) => runAudit(options, deps));
  withBaseline(command(check, 'accept', 'let findings be from now on, and sign the baseline anew'))
    .argument('[path...]', 'findings at or below these paths')
    .option('--everything', 'every finding')
    .option('--reason <text>', 'why; kept in the baseline')
    .action((paths: string[], options: AcceptOptions) => runAccept(paths, options, deps));
}

function withBaseline(declared: Command): Command {
  return declared
    .option('--disk <folder>', "where the server's disk is mounted, when --root is on a copy of it")
    .option(
      '--baseline <place>',
      'what was seen before, in a file of this machine, or in a folder with one for each server',
    )
    .option('--baseline-key <file>', 'the Ed25519 key that signs it, instead of the one in your state folder');
}

async function runAudit(options: AuditOptions, deps: CommandDeps): Promise<void> {
  const { terminal } = deps;
  const { newBaseline: isNew = false } = options;
  if (isNew && options.baseline === undefined) {
    throw new LatchkeyError('usage', '"--new-baseline" needs "--baseline"', { exit: 2, field: '--baseline' });
  }
  const store = storeOf(options, deps, isNew);
  const known = (server: Server): Baseline | null => {
    if (!isNew) return store?.read(server) ?? null;
    store?.refuseExisting(server);
    return null;
  };
  const { report, seen, server, baseline } = await look(options, deps, known);
  if (!report.clean) deps.endWith(1);
  if (options.json === true) printJson(terminal, report);
  else printAudit(terminal, report);
  const stable = stablePaths(options.disk ?? null);
  if (baseline !== null) store?.raise(server, baseline, seen, stable);
  if (!isNew || store === null) return;
  const file = store.first(server, firstBaseline(seen, server, { stable, at: new Date(deps.now()) }));
  const stays = report.clean ? '' : '; findings stay until they are gone, or accepted with "ncpatch audit accept"';
  if (options.json !== true) terminal.stdout.write(`${file} holds what no list covers, as it is now${stays}\n`);
}

async function runAccept(paths: readonly string[], options: AcceptOptions, deps: CommandDeps): Promise<void> {
  const { reason = '', everything = false } = options;
  const store = storeOf(options, deps, false);
  if (store === null || reason.trim() === '') {
    const field = store === null ? '--baseline' : '--reason';
    throw new LatchkeyError('usage', `"${field}" must be given`, { exit: 2, field });
  }
  if (everything === paths.length > 0) {
    throw new LatchkeyError('usage', 'either paths or "--everything" must say what is accepted', { exit: 2 });
  }
  const { report, seen, server, baseline } = await look(options, deps, (one) => store.read(one));
  if (baseline === null) throw new TypeError('a baseline that was read is there');
  const stable = stablePaths(options.disk ?? null);
  const chosen = everything ? report.findings : at(paths, report.findings, stable);
  const about = { stable, reason, at: new Date(deps.now()) };
  store.replace(server, accepting(raised(baseline, seen, stable), chosen, seen, about));
  const left = report.findings.length - chosen.length;
  if (options.json === true) printJson(deps.terminal, { accepted: chosen, left });
  else printAccepted(deps.terminal, chosen, left);
}

/** The findings that are meant; a path that means none is a mistake, and then nothing is accepted. */
function at(paths: readonly string[], findings: readonly Finding[], stable: StablePath): readonly Finding[] {
  const isMeant = (finding: Finding, path: string): boolean => isAtOrBelow(stable(finding.path), stable(path));
  const unknown = paths.find((path) => !findings.some((finding) => isMeant(finding, path)));
  if (unknown === undefined) return findings.filter((finding) => paths.some((path) => isMeant(finding, path)));
  throw new LatchkeyError('nothing_found', `there is no finding at ${JSON.stringify(unknown)}`, {
    exit: 2,
    hint: 'paths must be as the audit tells them; nothing was accepted',
  });
}

function storeOf(options: AuditOptions, deps: CommandDeps, makeKey: boolean): BaselineStore | null {
  if (options.baseline === undefined) return null;
  return new BaselineStore(options.baseline, options.baselineKey ?? defaultKeyFile(deps.terminal.env), { makeKey });
}

/** Needs no working Nextcloud, so it only connects. */
async function look(
  options: AuditOptions,
  deps: CommandDeps,
  baselineOf: (server: Server) => Baseline | null,
): Promise<Audited> {
  const { terminal } = deps;
  const transport = await connect(options, { prompter: deps.prompter, env: terminal.env });
  try {
    const app = await readLocalApp(deps.appFolder);
    return await audit(transport, options, { app, now: deps.now, progress: progressOn(terminal.stderr), baselineOf });
  } finally {
    await transport.close();
  }
}

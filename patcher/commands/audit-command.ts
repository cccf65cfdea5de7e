import type { KeyObject } from 'node:crypto';
import type { Command } from 'commander';
import { printJson } from '../../platform/command-line.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { readLocalApp } from '../app-files.ts';
import { type Audited, audit } from '../audit/audit.ts';
import { printAudit, shown } from '../audit/audit-lines.ts';
import { accepting, type Baseline, firstBaseline, isAtOrBelow, raised } from '../audit/baseline.ts';
import { readBaseline, writeBaseline } from '../audit/baseline-file.ts';
import { auditorKey, defaultKeyFile } from '../audit/baseline-key.ts';
import { stablePaths } from '../audit/stable-path.ts';
import { progressOn } from '../progress.ts';
import { connect } from '../workplace.ts';
import { type CommandDeps, type CommonOptions, command } from './command.ts';

interface AuditOptions extends CommonOptions {
  readonly disk?: string;
  readonly baseline?: string;
  readonly baselineKey?: string;
  readonly newBaseline?: boolean;
  readonly reason?: string;
  readonly all?: boolean;
}

/** `audit` and `audit accept`. */
export function declareAudit(program: Command, deps: CommandDeps): void {
  program.enablePositionalOptions(); // what follows "accept" is its own
  const check = withBaseline(
    command(
      program,
      'audit',
      'compare the code with what the vendor signed, checked on this machine; runs nothing there',
    ),
  )
    .option('--new-baseline', 'write the first baseline, into a new file')
    .action((options: AuditOptions) => runAudit(options, deps));
  withBaseline(command(check, 'accept', 'let findings be from now on, and sign the baseline anew'))
    .argument('[path...]', 'findings at or below these paths')
    .option('--all', 'every finding')
    .option('--reason <text>', 'why; kept in the baseline')
    .action((paths: string[], options: AuditOptions) => runAccept(paths, options, deps));
}

function withBaseline(declared: Command): Command {
  return declared
    .option('--disk <folder>', "where the server's disk is mounted, when --root is on a copy of it")
    .option('--baseline <file>', 'what was seen before, on this machine; compares what no list covers')
    .option('--baseline-key <file>', 'the Ed25519 key that signs it, instead of the one in the state folder');
}

/** Needs no working Nextcloud, so it only connects. */
async function runAudit(options: AuditOptions, deps: CommandDeps): Promise<void> {
  const { terminal } = deps;
  const { baseline: file, newBaseline: isNew = false } = options;
  if (isNew && file === undefined) {
    throw new LatchkeyError('usage', '"--new-baseline" needs "--baseline FILE"', { exit: 2, field: '--baseline' });
  }
  const key = file === undefined ? null : keyOf(options, deps, isNew);
  const known = file === undefined || key === null || isNew ? null : readBaseline(file, key);
  const audited = await look(options, deps, known);
  const { report, seen, server } = audited;
  if (!report.clean) deps.endWith(1);
  const stable = stablePaths(options.disk ?? null);
  if (file !== undefined && key !== null && isNew) {
    writeBaseline(file, firstBaseline(seen, server, { stable, at: new Date(deps.now()) }), key, 'new');
  }
  if (options.json === true) printJson(terminal, report);
  else printAudit(terminal, report);
  if (isNew && options.json !== true) terminal.stdout.write(newWords(report.clean));
  if (file === undefined || key === null || known === null) return;
  const next = raised(known, seen, stable);
  if (next !== known) writeBaseline(file, next, key, 'over');
}

function newWords(isClean: boolean): string {
  const kept = 'the baseline holds everything that no list covers, as it is now';
  return isClean ? `${kept}\n` : `${kept}; findings stay until they are gone or accepted: ncpatch audit accept\n`;
}

async function runAccept(paths: readonly string[], options: AuditOptions, deps: CommandDeps): Promise<void> {
  const { baseline: file, reason, all = false } = options;
  if (file === undefined || reason === undefined || reason.trim() === '') {
    const field = file === undefined ? '--baseline' : '--reason';
    throw new LatchkeyError('usage', `"${field}" must be given`, { exit: 2, field });
  }
  if (all === paths.length > 0) {
    throw new LatchkeyError('usage', 'either paths or "--all" must say what is accepted', { exit: 2 });
  }
  const key = keyOf(options, deps, false);
  const known = readBaseline(file, key);
  const { report, seen } = await look(options, deps, known);
  const unknown = paths.find((path) => !report.findings.some((finding) => isAtOrBelow(finding.path, path)));
  if (unknown !== undefined) {
    throw new LatchkeyError('nothing_found', `there is no finding at ${JSON.stringify(unknown)}`, {
      exit: 2,
      hint: 'paths must be as the audit tells them; nothing was accepted',
    });
  }
  const chosen = report.findings.filter(({ path }) => all || paths.some((folder) => isAtOrBelow(path, folder)));
  const stable = stablePaths(options.disk ?? null);
  const now = new Date(deps.now());
  const next = accepting(raised(known, seen, stable), chosen, seen, { stable, reason, at: now });
  writeBaseline(file, next, key, 'over');
  const left = report.findings.length - chosen.length;
  if (options.json === true) return printJson(deps.terminal, { accepted: chosen, left });
  for (const { kind, path } of chosen) deps.terminal.stdout.write(`accepted   ${shown(path)}: ${kind}\n`);
  deps.terminal.stdout.write(`${chosen.length} accepted, ${left} left\n`);
}

function keyOf(options: AuditOptions, deps: CommandDeps, make: boolean): KeyObject {
  return auditorKey(options.baselineKey ?? defaultKeyFile(deps.terminal.env), { make });
}

async function look(options: AuditOptions, deps: CommandDeps, baseline: Baseline | null): Promise<Audited> {
  const { terminal } = deps;
  const transport = await connect(options, { prompter: deps.prompter, env: terminal.env });
  try {
    const app = await readLocalApp(deps.appFolder);
    return await audit(transport, options, { app, now: deps.now, progress: progressOn(terminal.stderr), baseline });
  } finally {
    await transport.close();
  }
}

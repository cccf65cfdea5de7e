import type { Command } from 'commander';
import { printJson } from '../../platform/command-line.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { readLocalApp } from '../app-files.ts';
import { bringUp } from '../apply.ts';
import { type EnrollOrder, enroll } from '../keys/enroll.ts';
import { escrow, escrowPreflight } from '../keys/escrow.ts';
import { refuseUnenrolled, restore } from '../keys/restore.ts';
import { readNewPassphrase, readPublicFile, readSecret } from '../keys/secret-input.ts';
import { progressOn } from '../progress.ts';
import { printFields, printObstacles } from '../report.ts';
import { verifyLoaded } from '../verify.ts';
import { type CommandDeps, type CommonOptions, changing, locked } from './command.ts';

interface EnrollOptions extends CommonOptions {
  readonly url: readonly string[];
  readonly ca: string;
  readonly codeFile?: string;
  readonly replace?: boolean;
}

interface EscrowOptions extends CommonOptions {
  readonly grantFile?: string;
  readonly copy?: string;
  readonly copyPassphraseFile?: string;
}

/** `enroll`, `escrow` and `restore`. */
export function declareKeys(program: Command, deps: CommandDeps): void {
  const { terminal } = deps;
  changing(program, 'enroll', 'make the server a client of the key server')
    .requiredOption('--url <https://host:port>', 'address of the key server; may be given again', collect, [])
    .requiredOption('--ca <file>', 'certificate of the key server’s own authority, PEM')
    .option('--code-file <file>', 'the enrolment code; - for standard input, asked for otherwise')
    .option('--replace', 'enrol again under a new code; keys that have moved stay moved')
    .action(async (options: EnrollOptions) => {
      const ca = await readPublicFile(options.ca, '--ca');
      const code = await readSecret(terminal, options.codeFile, { name: 'the enrolment code', option: '--code-file' });
      const order: EnrollOrder = { urls: options.url, code, ca, replace: options.replace === true };
      await locked(options, deps, async (place) => {
        const report = await enroll(await place.facts(), order, {
          occ: place.instance.occ,
          progress: progressOn(terminal.stderr),
        });
        if (options.json === true) return printJson(terminal, report);
        printFields(terminal, [
          ['enrolled as', report.clientId],
          ['authority', report.caFingerprint],
          ['next', 'ncpatch escrow'],
        ]);
      });
    });
  changing(program, 'escrow', 'move the private keys to the key server')
    .option('--grant-file <file>', 'the escrow grant; - for standard input, asked for otherwise')
    .option('--copy <file>', "where the owner's encrypted copy goes, on this machine; a new file")
    .option('--copy-passphrase-file <file>', "the copy's passphrase; asked for otherwise")
    .option('--dry-run', 'only look, move nothing')
    .action((options: EscrowOptions) => runEscrow(options, deps));
  changing(program, 'restore', "bring the private keys back to the server's disk")
    .option('--from-copy <file>', "the owner's copy, instead of the key server")
    .option('--copy-passphrase-file <file>', "the copy's passphrase; asked for otherwise")
    .action(async (options: CommonOptions & { fromCopy?: string; copyPassphraseFile?: string }) => {
      const copy =
        options.fromCopy === undefined
          ? null
          : {
              path: options.fromCopy,
              passphrase: await readSecret(terminal, options.copyPassphraseFile, PASSPHRASE),
            };
      await locked(options, deps, async (place, journal) => {
        const progress = progressOn(terminal.stderr);
        if (copy === null) refuseUnenrolled(await place.facts());
        // an upgrade may have taken the app, and the key server may be gone for good: the copy alone must do
        await bringUp(place, journal, await readLocalApp(deps.appFolder), progress, verifyLoaded, [
          'master_key_missing',
        ]);
        const report = await restore(await place.facts(), { copy }, { occ: place.instance.occ, progress });
        if (options.json === true) return printJson(terminal, report);
        printFields(terminal, [
          ['restored', report.restored.length === 0 ? 'nothing was away' : report.restored],
          ['files read', String(report.files)],
        ]);
      });
    });
}

const PASSPHRASE = { name: "the passphrase of the owner's copy", option: '--copy-passphrase-file' };

async function runEscrow(options: EscrowOptions, deps: CommandDeps): Promise<void> {
  const { terminal } = deps;
  const progress = progressOn(terminal.stderr);
  if (options.dryRun !== true && options.copy === undefined) {
    throw new LatchkeyError('usage', '"--copy FILE" must say where the owner\'s copy of the keys goes', {
      exit: 2,
      field: '--copy',
      hint: 'without it a lost key server would mean lost files',
    });
  }
  if (options.grantFile === '-' && options.copyPassphraseFile === '-') {
    throw new LatchkeyError('usage', 'standard input can hold the grant or the passphrase, not both', { exit: 2 });
  }
  await locked(options, deps, async (place) => {
    const facts = await place.facts();
    const { occ } = place.instance;
    const look = await escrowPreflight(facts, { occ, progress });
    const shown: [string, string | string[]][] = [
      ['mode', `${look.mode} key`],
      ['keys', look.privateKeys.map(({ id, local, remote }) => `${id} (${where(local, remote)})`)],
      ['test files', `${look.sample.length} read well`],
    ];
    if (options.dryRun === true) {
      if (options.json === true) return printJson(terminal, look);
      printFields(terminal, shown);
      return printObstacles(
        terminal,
        look.problems.map((problem) => ({ ...problem, blocking: problem.blocking === true })),
      );
    }
    for (const problem of look.problems) progress.note(`${problem.message} (${problem.code})`);
    const passphrase = await readNewPassphrase(terminal, options.copyPassphraseFile, PASSPHRASE);
    const needsGrant = options.grantFile !== undefined || look.privateKeys.some((key) => !key.remote);
    const grant = needsGrant
      ? await readSecret(terminal, options.grantFile, { name: 'the escrow grant', option: '--grant-file' })
      : null;
    const order = { grant, copy: { path: options.copy ?? '', passphrase } };
    const report = await escrow(facts, order, { occ, progress, now: deps.now, random: deps.random });
    if (options.json === true) return printJson(terminal, { preflight: look, ...report });
    printFields(terminal, [
      ['moved', report.keys.map(({ id, sha256 }) => `${id} sha256:${sha256.slice(0, 16)}`)],
      ["owner's copy", `${report.copy.path} (${report.copy.state})`],
      ['decrypted', `${report.files} files with keys from the key server`],
      ['removed', report.removed.length === 0 ? 'nothing was left on the disk' : report.removed],
      ...(report.copies.length === 0 ? [] : [['look at', report.copies] as [string, readonly string[]]]),
    ]);
    if (report.copies.length > 0) {
      terminal.stdout.write(
        'these places may still hold a copy of a key; delete them, and backups made before today\n',
      );
    }
  });
}

function where(local: boolean, remote: boolean): string {
  return [...(local ? ['on the disk'] : []), ...(remote ? ['on the key server'] : [])].join(' and ');
}

function collect(value: string, before: readonly string[]): string[] {
  return [...before, value];
}

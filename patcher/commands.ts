import { type Command, Option } from 'commander';
import type { RandomBytes } from '../platform/clock.ts';
import { printJson, printTable, type Terminal } from '../platform/command-line.ts';
import { LatchkeyError } from '../platform/errors.ts';
import { readLocalApp } from './app-files.ts';
import { apply, bringUp } from './apply.ts';
import { audit } from './audit/audit.ts';
import { printAudit } from './audit/audit-lines.ts';
import type { Journal, JournalWriter } from './journal/journal.ts';
import { type JournalDeps, withJournal } from './journal/transaction.ts';
import { type EnrollOrder, enroll } from './keys/enroll.ts';
import { escrow, escrowPreflight } from './keys/escrow.ts';
import { refuseUnenrolled, restore } from './keys/restore.ts';
import { readNewPassphrase, readPublicFile, readSecret } from './keys/secret-input.ts';
import { obstaclesOf } from './obstacles.ts';
import { planFor } from './plan.ts';
import { describePlan, type PlannedChange } from './planned-changes.ts';
import { progressOn } from './progress.ts';
import { remove } from './remove.ts';
import { factLines, printFields, printObstacles } from './report.ts';
import { rollback } from './rollback.ts';
import { statusOf } from './status.ts';
import type { Prompter } from './transports/prompter.ts';
import { verify, verifyLoaded } from './verify.ts';
import { connect, listInstances, openWorkplace, type WorkOptions, type Workplace } from './workplace.ts';

/** All that the commands take from the process. */
export interface CommandDeps {
  readonly terminal: Terminal;
  /** `null` where nobody sits at a terminal. */
  readonly prompter: Prompter | null;
  /** `php-app/` of this project. */
  readonly appFolder: string;
  readonly now: () => number;
  readonly random: RandomBytes;
  readonly by: JournalWriter;
  /** The exit code of a command that was carried out and still found something wrong. */
  readonly endWith: (exit: 1) => void;
}

interface CommonOptions extends WorkOptions {
  readonly json?: boolean;
  readonly takeOver?: boolean;
  readonly dryRun?: boolean;
}

/** Declares every command of `ncpatch`. */
export function declareCommands(program: Command, deps: CommandDeps): void {
  program.description("keeps a Nextcloud's encryption keys on another machine, and takes that back again");
  declareLooking(program, deps);
  declareChanging(program, deps);
  declareKeys(program, deps);
}

function command(program: Command, name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .option('--ssh <user@host[:port]>', 'the server, by ssh')
    .option('--local', 'this machine')
    .option('--sudo', 'become root with sudo there')
    .option('--identity <file>', 'private key for ssh')
    .option('--known-hosts <file>', 'host keys to trust, instead of ~/.ssh/known_hosts')
    .addOption(new Option('--accept-host-key <SHA256:…>', 'trust this fingerprint of a host that is not known yet'))
    .option('--root <folder>', 'which nextcloud, where there are several or it lies in an unusual place')
    .option('--php <program>', 'the PHP that occ is run with')
    .option('--json', 'print JSON for programs');
}

function changing(program: Command, name: string, description: string): Command {
  return command(program, name, description).option(
    '--take-over',
    'take the lock of another ncpatch that seems to run, when it is known to be gone',
  );
}

function declareLooking(program: Command, deps: CommandDeps): void {
  const { terminal } = deps;
  command(program, 'detect', 'look at a nextcloud and tell what stands in the way')
    .option('--all', 'only list every nextcloud on the server')
    .action(async (options: CommonOptions & { all?: boolean }) => {
      if (options.all === true) return printInstances(options, deps);
      await at(options, deps, async (place) => {
        const facts = await place.facts();
        const obstacles = obstaclesOf(facts);
        if (options.json === true) return printJson(terminal, { ...facts, obstacles });
        printFields(terminal, factLines(facts));
        printObstacles(terminal, obstacles);
      });
    });
  command(program, 'plan', 'show what apply would do, with the exact changes').action((options: CommonOptions) =>
    showPlan(options, deps),
  );
  command(program, 'status', 'tell how things stand, without asking the key server').action((options: CommonOptions) =>
    at(options, deps, async (place) => {
      const status = await statusOf(place, await place.facts());
      if (options.json === true) return printJson(terminal, status);
      printFields(terminal, status.lines);
      printObstacles(terminal, status.problems);
    }),
  );
  command(program, 'verify', 'show that the app works: by a decryption, and after escrow by a real release').action(
    (options: CommonOptions) =>
      at(options, deps, async (place) => {
        const result = await verify(place.instance.occ, await place.facts(), progressOn(terminal.stderr));
        if (options.json === true) return printJson(terminal, result);
        printFields(terminal, [
          ['hook', result.hook],
          [
            'release',
            result.release === null ? 'no key has moved yet' : `from the key server in ${result.release.ms} ms`,
          ],
          ['decryption', result.decrypt === null ? 'encryption is off' : 'works'],
        ]);
      }),
  );
  command(program, 'audit', 'compare the code with what the vendor signed, checked on this machine; runs nothing there')
    .option('--disk <folder>', "where the server's disk is mounted, when --root is on a copy of it")
    .action((options: CommonOptions & { disk?: string }) => runAudit(options, deps));
}

/** Needs no working Nextcloud, so it only connects. */
async function runAudit(options: CommonOptions & { disk?: string }, deps: CommandDeps): Promise<void> {
  const { terminal } = deps;
  const transport = await connect(options, { prompter: deps.prompter, env: terminal.env });
  try {
    const app = await readLocalApp(deps.appFolder);
    const report = await audit(transport, options, { app, now: deps.now, progress: progressOn(terminal.stderr) });
    if (!report.clean) deps.endWith(1);
    if (options.json === true) return printJson(terminal, report);
    printAudit(terminal, report);
  } finally {
    await transport.close();
  }
}

function declareChanging(program: Command, deps: CommandDeps): void {
  const { terminal } = deps;
  changing(program, 'apply', 'install or repair the app, as one transaction; twice in a row changes nothing')
    .option('--dry-run', 'only show what would be done')
    .action(async (options: CommonOptions) => {
      if (options.dryRun === true) return showPlan(options, deps);
      await at(options, deps, async (place) => {
        const app = await readLocalApp(deps.appFolder);
        const report = await apply(place, app, journalDeps(options, deps));
        const { untried } = report.verification;
        if (untried !== null) deps.endWith(1);
        if (options.json === true) return printJson(terminal, report);
        if (untried === null) {
          terminal.stdout.write(
            report.changed ? 'applied and verified\n' : 'nothing to do: everything is as it should be\n',
          );
          return;
        }
        terminal.stdout.write(report.changed ? 'applied; not verified\n' : 'nothing to do; not verified\n');
        terminal.stderr.write(`ncpatch: warning: no key could be released: ${untried.message} (${untried.code})\n`);
        if (untried.hint !== null) terminal.stderr.write(`ncpatch: hint: ${untried.hint}; then: ncpatch verify\n`);
      });
    });
  changing(program, 'rollback', 'undo a transaction that was interrupted').action((options: CommonOptions) =>
    at(options, deps, async (place) => {
      const report = await rollback(place, journalDeps(options, deps));
      if (options.json === true) return printJson(terminal, report);
      const words = { nothing: 'nothing to undo', finished: 'finished what was committed', undone: 'undone' };
      terminal.stdout.write(`${words[report.outcome]}\n`);
      for (const { what, reason } of report.left) terminal.stdout.write(`left alone  ${what}: ${reason}\n`);
    }),
  );
  changing(program, 'remove', 'take the app away again; refused while a key is on the key server only')
    .option('--dry-run', 'only show what would be done')
    .action((options: CommonOptions) =>
      at(options, deps, async (place) => {
        const report = await remove(place, journalDeps(options, deps), options.dryRun === true);
        if (options.json === true) return printJson(terminal, report);
        if (!report.dryRun) terminal.stdout.write('removed\n');
        else for (const { what, diff } of report.changes) terminal.stdout.write(`[#] ${what}\n${diff}`);
      }),
    );
}

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

function declareKeys(program: Command, deps: CommandDeps): void {
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

async function at(options: WorkOptions, deps: CommandDeps, work: (place: Workplace) => Promise<void>): Promise<void> {
  const place = await openWorkplace(options, { prompter: deps.prompter, env: deps.terminal.env });
  try {
    await work(place);
  } finally {
    await place.close();
  }
}

/** The same under the lock of the journal, after whatever an earlier run left was settled. */
function locked(
  options: CommonOptions,
  deps: CommandDeps,
  work: (place: Workplace, journal: Journal) => Promise<void>,
): Promise<void> {
  return at(options, deps, (place) =>
    withJournal(place, journalDeps(options, deps), (journal) => work(place, journal)),
  );
}

function journalDeps(options: CommonOptions, deps: CommandDeps): JournalDeps {
  return {
    progress: progressOn(deps.terminal.stderr),
    by: deps.by,
    now: deps.now,
    random: deps.random,
    takeOver: options.takeOver === true,
  };
}

async function showPlan(options: CommonOptions, deps: CommandDeps): Promise<void> {
  const { terminal } = deps;
  await at(options, deps, async (place) => {
    const facts = await place.facts();
    const app = await readLocalApp(deps.appFolder);
    const plan = planFor(facts, app);
    const changes: PlannedChange[] = await describePlan(place, [...plan.steps, ...plan.afterProof], app);
    if (options.json === true)
      return printJson(terminal, {
        steps: plan.steps,
        afterProof: plan.afterProof,
        changes,
        obstacles: plan.obstacles,
      });
    printObstacles(terminal, plan.obstacles);
    if (changes.length === 0) terminal.stdout.write('nothing to do: everything is as it should be\n');
    for (const { what, diff } of changes) terminal.stdout.write(`[#] ${what}\n${diff}`);
  });
}

async function printInstances(options: CommonOptions, deps: CommandDeps): Promise<void> {
  const found = await listInstances(options, { prompter: deps.prompter, env: deps.terminal.env });
  const rows = found.map(({ target, sighting }) => ({ target: target.name, ...sighting }));
  if (options.json === true) return printJson(deps.terminal, rows);
  printTable(
    deps.terminal,
    ['root', 'version', 'kind', 'config'],
    rows.map((row) => [row.root, row.versionString, row.target, row.configFile ?? 'none: not installed']),
  );
}

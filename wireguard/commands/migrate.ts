import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { type CommandIo, dataCommand } from '../../platform/command-io.ts';
import { printJson, printTable } from '../../platform/command-line.ts';
import { openDirectory } from '../../platform/data-directory.ts';
import type { DatabaseChoice } from '../../platform/database-choice.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { createSecretFile, readSecretFile } from '../../platform/files.ts';
import { parsePostgresUrl } from '../../platform/postgres-url.ts';
import { type MigrationReport, migrateHub } from '../backup/hub-migration.ts';
import { type DatabaseOptions, databaseFrom, withDatabaseOptions } from './database-options.ts';

interface MigrateOptions extends DatabaseOptions {
  readonly data: string;
  readonly to: string;
  readonly json?: boolean;
}

/** `migrate`: moves the state of a hub that does not run to another database. */
export function addMigrateCommand(program: Command, io: CommandIo): void {
  const command = dataCommand(program, 'migrate', 'move the state of a stopped hub to another database').requiredOption(
    '--to <where>',
    'sqlite, postgres (its URL by an option below), or a postgres:// URL that has no password in it',
  );
  withDatabaseOptions(command).action((options: MigrateOptions) => migrate(options, io));
}

async function migrate(options: MigrateOptions, { terminal, clock }: CommandIo): Promise<void> {
  const { choice, undo } = targetOf(options);
  let report: MigrationReport;
  try {
    report = await migrateHub(options.data, choice, { now: clock.now(), env: terminal.env });
  } catch (error) {
    undo();
    throw error;
  }
  if (options.json === true) return printJson(terminal, report);
  terminal.stdout.write(`moved to ${report.to}; both sides hold the same:\n`);
  printTable(
    terminal,
    ['TABLE', 'ROWS', 'DIGEST'],
    report.tables.map(({ table, rows, digest }) => [table, String(rows), digest.slice(0, 16)]),
  );
  terminal.stderr.write(`wghub: hint: the old store is as it was: ${report.from}\n`);
}

interface Target {
  readonly choice: DatabaseChoice;
  /** Takes back what was written for it. */
  readonly undo: () => void;
}

function targetOf(options: MigrateOptions): Target {
  const named = databaseFrom(options);
  const undo = (): void => undefined;
  if (options.to === 'sqlite') {
    if (named === null) return { choice: null, undo };
    throw new LatchkeyError('usage', '--to sqlite takes no URL: the database is in the data directory', { exit: 2 });
  }
  if (options.to === 'postgres') {
    if (named !== null) return { choice: named, undo };
    throw new LatchkeyError('usage', '--to postgres needs a URL', {
      exit: 2,
      hint: 'use --database-url-file FILE, or --database-from-environment with $DATABASE_URL',
    });
  }
  if (!/^postgres(ql)?:/.test(options.to)) {
    throw new LatchkeyError('usage', '"--to" must be sqlite or postgres', { exit: 2, field: '--to' });
  }
  if (named !== null) throw new LatchkeyError('usage', 'only one URL may be given', { exit: 2 });
  return keptUrl(options);
}

/** Arguments can be read by everybody on this machine: a URL among them may be kept, but a password there is no secret any more. */
function keptUrl({ to, data }: MigrateOptions): Target {
  if (parsePostgresUrl(to, '--to').password() !== '') {
    throw new LatchkeyError('secret_in_arguments', '"--to" must not have a password in it', {
      exit: 2,
      field: '--to',
      hint: 'change that password, which others may have seen, and use --to postgres --database-url-file FILE (mode 0600)',
    });
  }
  const path = join(openDirectory(data, ['config.json', 'vault.json'], 'hub', 'wghub'), 'database.url');
  const choice = { urlFile: path };
  if (existsSync(path) && readSecretFile(path).toString('utf8') === `${to}\n`) return { choice, undo: () => undefined };
  createSecretFile(path, `${to}\n`);
  return { choice, undo: () => rmSync(path) };
}

import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { DatabaseChoice } from '../../platform/database-choice.ts';
import { LatchkeyError } from '../../platform/errors.ts';

export interface DatabaseOptions {
  readonly databaseUrlFile?: string;
  readonly databaseFromEnvironment?: boolean;
}

/** Adds the options that name a database in PostgreSQL. */
export function withDatabaseOptions(command: Command): Command {
  return command
    .option('--database-url-file <file>', 'keep the state in PostgreSQL, whose URL is in FILE (mode 0600)')
    .option('--database-from-environment', 'the same with the URL in $DATABASE_URL, here and for every later command');
}

/** What they name; `null` is SQLite. Both at once are a usage error. */
export function databaseFrom(options: DatabaseOptions): DatabaseChoice {
  const { databaseUrlFile: file, databaseFromEnvironment: environment } = options;
  if (file !== undefined && environment === true) {
    throw new LatchkeyError('usage', 'only one of --database-url-file and --database-from-environment may be given', {
      exit: 2,
    });
  }
  if (file !== undefined) return { urlFile: resolve(file) };
  return environment === true ? { urlFile: null } : null;
}

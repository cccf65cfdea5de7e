import type { Migration } from 'kysely';
import * as z from 'zod';
import { LatchkeyError } from './errors.ts';
import { readSecretFile } from './files.ts';
import { type PostgresAddress, parsePostgresUrl, showPostgres } from './postgres-url.ts';
import { openSqlite } from './sqlite.ts';
import type { Store } from './store.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

const urlVariable = 'DATABASE_URL';

/** PostgreSQL, whose URL is in a file (mode 0600) or, without one, in the environment variable DATABASE_URL. */
export const databaseSchema = z.strictObject({
  urlFile: z.string().regex(/^\//, 'must be an absolute path').nullable(),
});

/** Where a server keeps its state; `null` is SQLite in its data directory. */
export type DatabaseChoice = z.infer<typeof databaseSchema> | null;

export interface DatabasePlace {
  readonly choice: DatabaseChoice;
  /** Where SQLite's file is, when it is SQLite. */
  readonly sqliteFile: string;
  readonly env: Environment;
}

/** Opens the database of a server. `create` is for a new server. */
export async function openDatabase<DB>(
  { choice, sqliteFile, env }: DatabasePlace,
  options: { readonly migrations: Readonly<Record<string, Migration>>; readonly create: boolean },
): Promise<Store<DB>> {
  if (choice === null) return openSqlite<DB>(sqliteFile, options);
  const address = addressOf(choice, env);
  const { openPostgres } = await import('./postgres.ts'); // and its driver, which SQLite has no use for
  return openPostgres<DB>(address, options);
}

/** Where the state is, for people; never a user or a password. */
export function showDatabase({ choice, env }: Omit<DatabasePlace, 'sqliteFile'>): string {
  return choice === null ? 'SQLite in the data directory' : `PostgreSQL, ${showPostgres(addressOf(choice, env))}`;
}

/** Where PostgreSQL is; `null` for SQLite. */
export function postgresOf({ choice, env }: Omit<DatabasePlace, 'sqliteFile'>): PostgresAddress | null {
  return choice === null ? null : addressOf(choice, env);
}

function addressOf(database: NonNullable<DatabaseChoice>, env: Environment): PostgresAddress {
  const { text, field } = database.urlFile === null ? fromEnvironment(env) : fromFile(database.urlFile);
  return parsePostgresUrl(text, field);
}

function fromFile(path: string): { text: string; field: string } {
  return {
    text: readSecretFile(path, { max: 4096 })
      .toString('utf8')
      .replace(/\r?\n$/, ''),
    field: path,
  };
}

function fromEnvironment(env: Environment): { text: string; field: string } {
  const text = env[urlVariable];
  if (text !== undefined && text !== '') return { text, field: urlVariable };
  throw new LatchkeyError(
    'database_url_missing',
    `$${urlVariable} is not set, and config.json says that it names the database`,
    {
      exit: 2,
      hint: `set ${urlVariable}, or name a file with the URL as "database": {"urlFile": "/PATH"} in config.json`,
    },
  );
}

import { LatchkeyError } from '../platform/errors.ts';
import { readSecretFile } from '../platform/files.ts';
import { type PostgresAddress, parsePostgresUrl, showPostgres } from '../platform/postgres-url.ts';
import { openSqlite } from '../platform/sqlite.ts';
import type { Store } from '../platform/store.ts';
import type { Config } from './config.ts';
import { databaseFile } from './data-directory.ts';
import { type Database, migrations } from './schema.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

const urlVariable = 'DATABASE_URL';

/** Opens the store that a server's config names: SQLite in its data directory, or PostgreSQL. `create` is for a new server. */
export async function openServerStore(
  directory: string,
  { database }: Config,
  env: Environment,
  create = false,
): Promise<Store<Database>> {
  if (database === null) return openSqlite<Database>(databaseFile(directory), { migrations, create });
  const address = addressOf(database, env);
  const { openPostgres } = await import('../platform/postgres.ts'); // and its driver, which SQLite has no use for
  return openPostgres<Database>(address, { migrations, create });
}

/** Where a server's state is, for people; never a user or a password. */
export function showStatePlace({ database }: Config, env: Environment): string {
  return database === null ? 'SQLite in the data directory' : `PostgreSQL, ${showPostgres(addressOf(database, env))}`;
}

function addressOf(database: NonNullable<Config['database']>, env: Environment): PostgresAddress {
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

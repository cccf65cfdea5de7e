import { type Environment, openDatabase, showDatabase } from '../platform/database-choice.ts';
import type { Store } from '../platform/store.ts';
import type { Config } from './config.ts';
import { databaseFile } from './data-directory.ts';
import { type Database, migrations } from './schema.ts';

/** Opens the store that a server's config names: SQLite in its data directory, or PostgreSQL. `create` is for a new server. */
export function openServerStore(
  directory: string,
  { database }: Config,
  env: Environment,
  create = false,
): Promise<Store<Database>> {
  const place = { choice: database, sqliteFile: databaseFile(directory), env };
  return openDatabase<Database>(place, { migrations, create });
}

/** Where a server's state is, for people; never a user or a password. */
export function showStatePlace({ database }: Config, env: Environment): string {
  return showDatabase({ choice: database, env });
}

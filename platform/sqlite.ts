import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { Kysely, type Migration, Migrator } from 'kysely';
import { LatchkeyError } from './errors.ts';
import { SqliteConnection, sqliteDialect } from './sqlite-dialect.ts';
import { goDirectly } from './statement.ts';
import type { Store } from './store.ts';

/** How long a writer waits for another process (a command beside a running server), in milliseconds. */
const busyTimeout = 5000;
/** Transactions that share one commit at the most, so that none waits long for the others. */
const maxGroup = 128;

interface Job<DB> {
  readonly work: (tx: Kysely<DB>) => Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

export interface SqliteOptions {
  readonly migrations: Readonly<Record<string, Migration>>;
  /** Without it a missing database is an error: a server must never start on an empty one by accident. */
  readonly create?: boolean;
}

/**
 * Opens the SQLite database at `path`, in WAL mode with every commit synced to disk, and brings its tables up to date.
 *
 * Transactions that wait at the same moment are committed together: one sync for all of them (group commit). Each
 * promise resolves after that sync. A job that throws undoes the group, and every job of it is then run by itself.
 *
 * Errors: `store_missing` without `create`, `store_not_opened`, `store_not_written` when a commit fails (disk full).
 */
export async function openSqlite<DB>(path: string, options: SqliteOptions): Promise<Store<DB>> {
  if (options.create !== true && !existsSync(path)) {
    throw new LatchkeyError('store_missing', `there is no database at ${path}`, {
      hint: 'was "init" run for this folder?',
    });
  }
  let writer: SqliteConnection;
  let reader: SqliteConnection;
  try {
    writer = connect(path, false);
    writer.database.exec(
      'pragma journal_mode = wal; pragma synchronous = full; pragma wal_autocheckpoint = 2000; pragma cache_size = -1024',
    );
    reader = connect(path, true);
  } catch (cause) {
    throw new LatchkeyError('store_not_opened', `the database at ${path} could not be opened`, { cause });
  }
  const tx = new Kysely<DB>({ dialect: sqliteDialect(writer) });
  const snapshot = new Kysely<DB>({ dialect: sqliteDialect(reader) });
  goDirectly(tx, writer);
  goDirectly(snapshot, reader);
  const migrator = new Migrator({ db: tx, provider: { getMigrations: async () => ({ ...options.migrations }) } });
  const { error } = await migrator.migrateToLatest();
  if (error !== undefined) {
    throw new LatchkeyError('store_not_opened', `the tables in ${path} could not be brought up to date`, {
      cause: error,
    });
  }
  return new SqliteStore(writer.database, tx, snapshot);
}

function connect(path: string, readOnly: boolean): SqliteConnection {
  return new SqliteConnection(
    new DatabaseSync(path, { timeout: busyTimeout, readOnly, enableForeignKeyConstraints: true }),
  );
}

class SqliteStore<DB> implements Store<DB> {
  readonly #database: DatabaseSync;
  readonly #tx: Kysely<DB>;
  readonly #snapshot: Kysely<DB>;
  #waiting: Job<DB>[] = [];
  #running: Promise<void> | null = null;
  #closed = false;

  constructor(database: DatabaseSync, tx: Kysely<DB>, snapshot: Kysely<DB>) {
    this.#database = database;
    this.#tx = tx;
    this.#snapshot = snapshot;
  }

  transaction<T>(work: (tx: Kysely<DB>) => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(new LatchkeyError('store_closed', 'the store is closed', { status: 503 }));
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ work, resolve: resolve as (value: unknown) => void, reject });
      // after the poll phase, so that requests that arrived together are committed together
      this.#running ??= new Promise((done) => setImmediate(() => void this.#drain().finally(done)));
    });
  }

  async read<T>(work: (db: Kysely<DB>) => Promise<T>): Promise<T> {
    return work(this.#snapshot);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
    await this.#snapshot.destroy();
    await this.#tx.destroy();
  }

  async #drain(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        const group = this.#waiting.splice(0, maxGroup);
        if (await this.#commit(group)) continue;
        for (const job of group) await this.#commit([job]);
      }
    } finally {
      this.#running = null;
    }
  }

  /** Runs the jobs in one transaction. False: one of several failed, nothing happened, run them one by one. */
  async #commit(group: readonly Job<DB>[]): Promise<boolean> {
    const results: unknown[] = [];
    try {
      this.#begin();
      for (const job of group) results.push(await job.work(this.#tx));
      this.#end();
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('rollback');
      if (group.length > 1) return false;
      group[0]?.reject(error);
      return true;
    }
    group.forEach((job, index) => {
      job.resolve(results[index]);
    });
    return true;
  }

  #begin(): void {
    this.#guarded('begin immediate');
  }

  #end(): void {
    this.#guarded('commit');
  }

  #guarded(statement: string): void {
    try {
      this.#database.exec(statement);
    } catch (cause) {
      throw new LatchkeyError('store_not_written', 'the database could not be written', {
        status: 503,
        hint: 'is the disk full, read-only, or the database held by another program?',
        cause,
      });
    }
  }
}

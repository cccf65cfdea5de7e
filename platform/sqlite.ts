import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { Kysely, type Migration, Migrator } from 'kysely';
import { LatchkeyError } from './errors.ts';
import { GroupCommit } from './group-commit.ts';
import { SqliteConnection, sqliteDialect } from './sqlite-dialect.ts';
import { goDirectly } from './statement.ts';
import type { Store } from './store.ts';

const usualPatience = 5000;
/** The longest pause between two tries. */
const longestPause = 50;
/** SQLITE_BUSY, in the low byte of whatever kind of it. */
const busy = 5;

export interface SqliteOptions {
  readonly migrations: Readonly<Record<string, Migration>>;
  /** Without it a missing database is an error: a server must never start on an empty one by accident. */
  readonly create?: boolean;
  /** How long a writer waits for another process (a command beside a running server), in milliseconds; 5000 unless told. */
  readonly patience?: number;
}

/**
 * Opens the SQLite database at `path`, in WAL mode with every commit synced to disk, and brings its tables up to date.
 *
 * Transactions are committed in groups (`group-commit.ts`).
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
    throw new LatchkeyError('store_not_opened', `the database at ${path} could not be opened`, {
      hint: 'is its disk full, or the folder somebody else’s?',
      cause,
    });
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
  writer.database.exec('pragma busy_timeout = 0'); // from here on who waits for another process lets this one go on
  return new SqliteStore(writer.database, tx, snapshot, options.patience ?? usualPatience);
}

function connect(path: string, readOnly: boolean): SqliteConnection {
  return new SqliteConnection(
    new DatabaseSync(path, { timeout: usualPatience, readOnly, enableForeignKeyConstraints: true }),
  );
}

class SqliteStore<DB> implements Store<DB> {
  readonly #database: DatabaseSync;
  readonly #patience: number;
  readonly #tx: Kysely<DB>;
  readonly #snapshot: Kysely<DB>;
  readonly #commits: GroupCommit<Kysely<DB>>;
  /** The last error with which a transaction could not be begun. */
  #refusal: unknown = null;

  constructor(database: DatabaseSync, tx: Kysely<DB>, snapshot: Kysely<DB>, patience: number) {
    this.#database = database;
    this.#patience = patience;
    this.#tx = tx;
    this.#snapshot = snapshot;
    this.#commits = new GroupCommit({
      commit: (work) => this.#commit(work),
      // a database that another process holds is so for everybody, and each would wait as long again, one after the other; a
      // commit that failed is not: on a full disk the small ones may still find room
      isForAll: (error) => error === this.#refusal,
    });
  }

  transaction<T>(work: (tx: Kysely<DB>) => Promise<T>): Promise<T> {
    return this.#commits.transaction(work);
  }

  async read<T>(work: (db: Kysely<DB>) => Promise<T>): Promise<T> {
    return work(this.#snapshot);
  }

  async close(): Promise<void> {
    await this.#commits.close();
    await this.#snapshot.destroy();
    await this.#tx.destroy();
  }

  async #commit(work: (tx: Kysely<DB>) => Promise<void>): Promise<void> {
    try {
      await this.#begin();
      await work(this.#tx);
      this.#guarded('commit');
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('rollback');
      throw error;
    }
  }

  async #begin(): Promise<void> {
    const until = performance.now() + this.#patience;
    for (let pause = 1; ; pause = Math.min(2 * pause, longestPause)) {
      try {
        this.#database.exec('begin immediate');
        return;
      } catch (cause) {
        if (!isBusy(cause) || performance.now() >= until) {
          this.#refusal = notWritten(cause);
          throw this.#refusal;
        }
      }
      await delay(pause);
    }
  }

  #guarded(statement: string): void {
    try {
      this.#database.exec(statement);
    } catch (cause) {
      throw notWritten(cause);
    }
  }
}

function isBusy(error: unknown): boolean {
  return ((error as { errcode?: number }).errcode ?? 0) % 256 === busy;
}

function notWritten(cause: unknown): LatchkeyError {
  return new LatchkeyError('store_not_written', 'the database could not be written', {
    status: 503,
    hint: 'is the disk full, read-only, or the database held by another program?',
    cause,
  });
}

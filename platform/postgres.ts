import { setTimeout as delay } from 'node:timers/promises';
import { Kysely, type Migration, Migrator } from 'kysely';
import { isLatchkeyError, LatchkeyError } from './errors.ts';
import { GroupCommit } from './group-commit.ts';
import {
  ConnectionLost,
  type PostgresClient,
  PostgresClients,
  type PostgresLimits,
  stateOf,
} from './postgres-connection.ts';
import { type Connections, postgresDialect } from './postgres-dialect.ts';
import { type PostgresAddress, showPostgres } from './postgres-url.ts';
import type { Store } from './store.ts';

/** "latchkey" in ASCII: the lock that a transaction holds, so that they run one after another over all servers. */
const lockNumber = 0x6c61_7463_686b_6579n;

/** A client waits 5 s for a whole exchange: who is not served by then has gone. */
const usualLimits: PostgresLimits = {
  connect: 3_000,
  statement: 5_000,
  lock: 5_000,
  idleInTransaction: 10_000,
  answer: 7_000,
};
/** While tables are made; another server may be at it. */
const migrationLimits: PostgresLimits = { ...usualLimits, statement: 120_000, lock: 120_000, answer: 130_000 };
/** Connections for `read`; transactions share one. */
const readers = 4;

/** After a lost connection: how long after the first try a new one may begin, and the pause before it. Milliseconds. */
const retryFor = 2_500;
const firstPause = 50;

const oldestServer = 12;

export interface PostgresOptions {
  readonly migrations: Readonly<Record<string, Migration>>;
  /** Without it an empty database is an error: a server must never start on one by accident. */
  readonly create?: boolean;
  readonly limits?: Partial<PostgresLimits>;
}

/**
 * Opens a PostgreSQL database and brings its tables up to date. Any number of processes may do so at once: transactions
 * run one after another over all of them, in groups (`group-commit.ts`), each on disk when its promise resolves.
 *
 * A transaction whose connection broke before its commit was sent is run again for a moment; nothing of it can have
 * stayed. After that point nobody knows: `store_outcome_unknown`, and it is not run again.
 *
 * Errors: `store_missing` without `create`, `store_not_opened`, `store_not_durable` when the server is set to lose what it
 * confirmed, `store_unreachable`, `store_not_written` when it refuses a statement or a commit.
 */
export async function openPostgres<DB>(address: PostgresAddress, options: PostgresOptions): Promise<Store<DB>> {
  const limits = { ...usualLimits, ...options.limits };
  const writer = new PostgresClients(address, { size: 1, readOnly: false, limits });
  try {
    await makeReady(writer, address, options);
  } catch (cause) {
    await writer.end();
    throw isLatchkeyError(cause) && cause.code !== 'store_not_written' ? cause : notOpened(address, cause);
  }
  const reader = new PostgresClients(address, { size: readers, readOnly: true, limits });
  return new PostgresStore<DB>(writer, reader, address);
}

interface Server {
  readonly fsync: string;
  readonly commits: string;
  readonly encoding: string;
  readonly version: number;
  readonly standby: boolean;
  readonly tables: boolean;
}

async function makeReady(writer: PostgresClients, address: PostgresAddress, options: PostgresOptions): Promise<void> {
  const client = await writer.connect();
  try {
    const { rows } = await client.query(`
      select current_setting('fsync') as fsync, current_setting('synchronous_commit') as commits,
        current_setting('server_encoding') as encoding, pg_is_in_recovery() as standby,
        current_setting('server_version_num')::int as version, to_regclass('kysely_migration') is not null as tables`);
    const server = rows[0] as Server;
    refuseUnfit(server, address);
    assertDurable(server);
    if (!server.tables && options.create !== true) {
      throw new LatchkeyError('store_missing', `the database ${showPostgres(address)} has no tables`, {
        hint: 'was "init" run for it?',
      });
    }
    if (server.tables && (await isUpToDate(client, options.migrations))) return;
  } finally {
    client.release();
  }
  await migrate(address, options.migrations);
}

function refuseUnfit({ encoding, version, standby }: Server, address: PostgresAddress): void {
  const name = showPostgres(address);
  if (version < oldestServer * 10_000)
    throw new LatchkeyError('store_not_opened', `the server of ${name} is older than PostgreSQL ${oldestServer}`);
  if (encoding !== 'UTF8') {
    throw new LatchkeyError('store_not_opened', `the database ${name} is not in UTF-8`, {
      hint: 'make another one with createdb -E UTF8 -T template0',
    });
  }
  if (standby) {
    throw new LatchkeyError('store_not_opened', `the database ${name} is a standby and cannot be written`, {
      hint: 'name the primary',
    });
  }
}

/** A confirmed commit must outlive a power cut: a release that the database forgot would be free for a second holder. */
function assertDurable({ fsync, commits }: Pick<Server, 'fsync' | 'commits'>): void {
  const setting = fsync === 'off' ? 'fsync' : commits === 'off' ? 'synchronous_commit' : null;
  if (setting === null) return;
  throw new LatchkeyError(
    'store_not_durable',
    `the PostgreSQL server has ${setting} off and may lose what it confirms`,
    {
      status: 503,
      exit: 3,
      hint: `set ${setting} = on for this database`,
    },
  );
}

async function isUpToDate(client: PostgresClient, migrations: PostgresOptions['migrations']): Promise<boolean> {
  const { rows } = await client.query('select name from kysely_migration');
  const done = (rows as { name: string }[]).map(({ name }) => name).sort();
  return done.join() === Object.keys(migrations).sort().join();
}

/** On a connection of its own, which may wait for another server that is at it. */
async function migrate(address: PostgresAddress, migrations: PostgresOptions['migrations']): Promise<void> {
  const clients = new PostgresClients(address, { size: 1, readOnly: false, limits: migrationLimits });
  const db = new Kysely<unknown>({ dialect: postgresDialect(clients) });
  try {
    const migrator = new Migrator({ db, provider: { getMigrations: async () => ({ ...migrations }) } });
    const { error } = await migrator.migrateToLatest();
    if (error === undefined) return;
    throw new LatchkeyError(
      'store_not_opened',
      `the tables in ${showPostgres(address)} could not be brought up to date`,
      {
        cause: error,
        hint: 'the user must own the database, or be allowed to create in its schema',
      },
    );
  } finally {
    await db.destroy();
  }
}

function notOpened(address: PostgresAddress, cause: unknown): LatchkeyError {
  return new LatchkeyError('store_not_opened', `the database ${showPostgres(address)} could not be opened`, {
    cause,
    hint: openingHint((cause as Error).cause),
  });
}

function openingHint(cause: unknown): string {
  const state = stateOf(cause);
  if (state === '3D000') return 'there is no database of that name: make one with createdb';
  if (state?.startsWith('28') === true) return 'the server did not accept the user or the password';
  const code = (cause as NodeJS.ErrnoException | undefined)?.code ?? '';
  if (/CERT|SELF_SIGNED|VERIFY|ALTNAME/.test(code))
    return 'the server did not prove its name; see sslrootcert in the URL';
  return 'is PostgreSQL running there, and does it take connections from this machine?';
}

class PostgresStore<DB> implements Store<DB> {
  readonly #writer: PostgresClients;
  readonly #address: PostgresAddress;
  readonly #snapshot: Kysely<DB>;
  readonly #commits: GroupCommit<Kysely<DB>>;

  constructor(writer: PostgresClients, reader: PostgresClients, address: PostgresAddress) {
    this.#writer = writer;
    this.#address = address;
    this.#snapshot = new Kysely<DB>({ dialect: postgresDialect(reader) });
    this.#commits = new GroupCommit({
      commit: (work) => this.#insisting(() => this.#commit(work)),
      isForAll: (error) => isLatchkeyError(error) && sharedErrors.includes(error.code),
    });
  }

  transaction<T>(work: (tx: Kysely<DB>) => Promise<T>): Promise<T> {
    return this.#commits.transaction(work);
  }

  read<T>(work: (db: Kysely<DB>) => Promise<T>): Promise<T> {
    return this.#insisting(() => work(this.#snapshot));
  }

  async close(): Promise<void> {
    await this.#commits.close();
    await this.#snapshot.destroy();
    await this.#writer.end();
  }

  /** Does it again after a lost connection, for a moment: a restart of the database takes no longer. */
  async #insisting<T>(attempt: () => Promise<T>): Promise<T> {
    const until = performance.now() + retryFor;
    for (let pause = firstPause; ; pause *= 2) {
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof ConnectionLost)) throw error;
        if (performance.now() + pause > until) throw unreachable(this.#address, error);
        await delay(pause);
      }
    }
  }

  async #commit(work: (tx: Kysely<DB>) => Promise<void>): Promise<void> {
    const client = await this.#writer.connect();
    let isWell = false;
    try {
      await begin(client, this.#address);
      try {
        await work(new Kysely<DB>({ dialect: postgresDialect(borrowed(client)) }));
        if (client.failure !== null) throw client.failure; // nothing counts after it, though `work` went on
      } catch (error) {
        if (client.failure instanceof ConnectionLost) throw client.failure;
        await client.query('rollback');
        isWell = true;
        throw error;
      }
      await commit(client);
      isWell = true;
    } finally {
      client.release(isWell);
    }
  }
}

/** Errors that running each job of a group by itself would not mend. */
const sharedErrors = ['store_unreachable', 'store_not_durable', 'store_outcome_unknown'];

/** What a transaction's Kysely uses as its pool: the one connection, which stays with the store. */
function borrowed(client: PostgresClient): Connections {
  const handle = {
    query: (text: string, values?: readonly unknown[]) => client.query(text, values),
    release: () => undefined,
  };
  return { connect: async () => handle, end: async () => undefined };
}

/** READ COMMITTED: a statement sees all that was committed before it, and so, behind the lock, all there is. */
async function begin(client: PostgresClient, address: PostgresAddress): Promise<void> {
  try {
    const answers = await client.query(`
      begin isolation level read committed read write;
      select current_setting('fsync') as fsync, current_setting('synchronous_commit') as commits,
        pg_advisory_xact_lock(${lockNumber})`);
    assertDurable((answers as unknown as { rows: Server[] }[])[1]?.rows[0] ?? { fsync: 'off', commits: 'off' });
  } catch (error) {
    // another server holds the lock for too long, or the database cannot be written at all
    throw isLatchkeyError(error, 'store_not_written') ? unreachable(address, error) : error;
  }
}

/** Resolves when it is on disk; throws `store_not_written` when it certainly is not, `store_outcome_unknown` otherwise. */
async function commit(client: PostgresClient): Promise<void> {
  let isWarned = false;
  const deafen = client.onWarning(() => {
    isWarned = true;
  });
  let command: string;
  try {
    ({ command } = await client.query('commit'));
  } catch (cause) {
    // a refusal on a connection that goes on is an answer; whatever else was said or not said may mean either
    if (stateOf((cause as Error).cause) !== null && (await goesOn(client))) throw notCommitted(cause);
    throw outcomeUnknown(cause);
  } finally {
    deafen();
  }
  if (command !== 'COMMIT') throw notCommitted();
  if (isWarned) throw outcomeUnknown(); // "committed locally, but might not have been replicated"
}

async function goesOn(client: PostgresClient): Promise<boolean> {
  return client.query('rollback').then(
    () => true,
    () => false,
  );
}

function notCommitted(cause?: unknown): LatchkeyError {
  return new LatchkeyError('store_not_written', 'the database refused to commit', { status: 503, cause });
}

function outcomeUnknown(cause?: unknown): LatchkeyError {
  return new LatchkeyError('store_outcome_unknown', 'the database did not say whether it committed', {
    status: 503,
    cause,
  });
}

function unreachable(address: PostgresAddress, cause: unknown): LatchkeyError {
  return new LatchkeyError('store_unreachable', `the database ${showPostgres(address)} does not answer`, {
    status: 503,
    hint: 'is PostgreSQL running, and is no other server holding its lock?',
    cause,
  });
}

import { readFileSync } from 'node:fs';
import pg from 'pg';
import { LatchkeyError } from './errors.ts';
import type { PostgresAddress, PostgresTls } from './postgres-url.ts';

/** How long is waited for what, in milliseconds. */
export interface PostgresLimits {
  readonly connect: number;
  /** For one statement. */
  readonly statement: number;
  /** For the transactions of other servers. */
  readonly lock: number;
  /** Whoever stands still with a transaction open is thrown out by the database and holds nobody up. */
  readonly idleInTransaction: number;
  /** For an answer of any kind, before a silent line counts as broken; longer than for statement and lock. */
  readonly answer: number;
}

/** When an idle line is probed, in milliseconds. */
const keepAlive = 10_000;

/** The server's type for 64-bit integers. */
const int8 = 20;

/** SQLSTATEs of a connection or transaction that ended by no fault of its statements (PostgreSQL manual, appendix A). */
const lostStates = ['57P01', '57P02', '57P03', '53300', '40001', '40P01', '25P03', '25P04'];

/** The connection broke, or the server took the transaction back; a new try may well succeed. */
export class ConnectionLost extends Error {
  constructor(cause: unknown) {
    super('the connection to the database was lost', { cause });
    this.name = 'ConnectionLost';
  }
}

export interface PoolOptions {
  readonly size: number;
  readonly readOnly: boolean;
  readonly limits: PostgresLimits;
}

/** The answer to one statement; a text of several has a list of them. */
export interface PostgresAnswer {
  /** What was done: `INSERT`, `COMMIT`, …; a commit of what had failed is answered by `ROLLBACK`. */
  readonly command: string;
  readonly rowCount: number;
  readonly rows: unknown[];
}

/** One connection of a pool. Every statement on it rejects with `ConnectionLost` or `store_not_written`. */
export class PostgresClient {
  readonly #client: pg.PoolClient;
  #failure: Error | null = null;
  #open = true;

  constructor(client: pg.PoolClient) {
    this.#client = client;
  }

  /** What the first statement that failed was told; after it nothing on this connection counts. */
  get failure(): Error | null {
    return this.#failure;
  }

  async query(text: string, values?: readonly unknown[]): Promise<PostgresAnswer> {
    if (!this.#open) throw new TypeError('this transaction is over');
    try {
      return (await this.#client.query(text, values as unknown[] | undefined)) as PostgresAnswer;
    } catch (cause) {
      const error = told(cause);
      this.#failure ??= error;
      throw error;
    }
  }

  /** Hears of warnings until the answer it gives is called. */
  onWarning(listener: () => void): () => void {
    const heard = ({ code }: { code: string | undefined }): void => {
      if (code?.startsWith('00') !== true) listener();
    };
    this.#client.on('notice', heard);
    return () => this.#client.off('notice', heard);
  }

  /** Gives the connection back; one that failed is closed, which undoes what is open on it. */
  release(isWell: boolean = this.#failure === null): void {
    if (!this.#open) return;
    this.#open = false;
    this.#client.release(!isWell);
  }
}

/** One connection by itself, which hears what others say and holds locks for as long as it lives. */
export class PostgresSession {
  readonly #client: pg.Client;
  #isOver = false;

  private constructor(client: pg.Client) {
    this.#client = client;
  }

  /** `name` is what the server calls it (`application_name`), 63 bytes at the most. Throws `ConnectionLost`. */
  static async open(address: PostgresAddress, limits: PostgresLimits, name: string): Promise<PostgresSession> {
    const options = { size: 1, readOnly: false, limits };
    const client = new pg.Client({ ...poolConfig(address, options), application_name: name });
    const session = new PostgresSession(client);
    client.on('error', () => undefined); // without a listener it would end the process
    client.once('end', () => {
      session.#isOver = true;
    });
    try {
      await client.connect();
    } catch (cause) {
      session.end();
      throw new ConnectionLost(cause);
    }
    return session;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Throws `ConnectionLost`, and then the connection is over; `store_not_written` for what the server refuses. */
  async query(text: string, values?: readonly unknown[]): Promise<PostgresAnswer> {
    if (this.#isOver) throw new ConnectionLost(new Error('it was over'));
    try {
      return (await this.#client.query(text, values as unknown[] | undefined)) as unknown as PostgresAnswer;
    } catch (cause) {
      const error = told(cause);
      if (error instanceof ConnectionLost) this.end();
      throw error;
    }
  }

  /** Hears what is said on the channels that it listens to. */
  onText(listener: (text: string) => void): void {
    this.#client.on('notification', ({ payload }) => listener(payload ?? ''));
  }

  onEnd(listener: () => void): void {
    this.#client.once('end', listener);
  }

  /** Ends at once, whatever is under way. */
  end(): void {
    this.#isOver = true;
    // a polite farewell would wait for an answer that may never come
    (this.#client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
  }
}

/** The connections to one database. */
export class PostgresClients {
  readonly #pool: pg.Pool;

  constructor(address: PostgresAddress, options: PoolOptions) {
    this.#pool = new pg.Pool(poolConfig(address, options));
    // a connection that breaks while nobody uses it is replaced at its next use; without listeners it would end the process
    this.#pool.on('error', () => undefined);
    this.#pool.on('connect', (client) => client.on('error', () => undefined));
  }

  /** Throws `ConnectionLost`. */
  async connect(): Promise<PostgresClient> {
    try {
      return new PostgresClient(await this.#pool.connect());
    } catch (cause) {
      throw new ConnectionLost(cause);
    }
  }

  end(): Promise<void> {
    return this.#pool.end();
  }
}

/** Nothing is left out: what is not given here the driver would take from the environment (PGPASSWORD and the like). */
function poolConfig(address: PostgresAddress, { size, readOnly, limits }: PoolOptions): pg.PoolConfig {
  return {
    host: address.host,
    port: address.port,
    database: address.database,
    user: address.user,
    password: address.password,
    ssl: address.tls === null ? false : tlsConfig(address.tls),
    enableChannelBinding: true,
    application_name: 'latchkey',
    client_encoding: 'UTF8',
    options: `-c default_transaction_read_only=${readOnly ? 'on' : 'off'}`,
    max: size,
    connectionTimeoutMillis: limits.connect,
    lock_timeout: limits.lock,
    statement_timeout: limits.statement,
    idle_in_transaction_session_timeout: limits.idleInTransaction,
    query_timeout: limits.answer,
    keepAlive: true,
    keepAliveInitialDelayMillis: keepAlive,
    types: { getTypeParser: parserOf as typeof pg.types.getTypeParser },
  };
}

function tlsConfig({ authorities, client }: PostgresTls) {
  return {
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2' as const,
    ...(authorities !== null && { ca: readPem(authorities) }),
    ...(client !== null && { cert: readPem(client.certificate), key: readPem(client.key) }),
  };
}

function readPem(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new LatchkeyError('file_not_read', `${path} could not be read`, { cause, exit: 2 });
  }
}

function parserOf(oid: number, format: 'text' | 'binary'): unknown {
  return oid === int8 ? parseCount : pg.types.getTypeParser(oid, format as 'text');
}

/** Times and counters are numbers here; one that a number cannot hold exactly is a broken database. */
function parseCount(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value)) return value;
  throw new RangeError('a number in the database is larger than any this program writes');
}

function told(cause: unknown): Error {
  if (cause instanceof RangeError) return cause;
  const state = stateOf(cause);
  if (state === null || state.startsWith('08') || lostStates.includes(state)) return new ConnectionLost(cause);
  return new LatchkeyError('store_not_written', 'the database refused a statement', { status: 503, cause });
}

/** The SQLSTATE of an answer of the server; `null` when there was no answer. */
export function stateOf(error: unknown): string | null {
  return error instanceof pg.DatabaseError ? (error.code ?? '') : null;
}

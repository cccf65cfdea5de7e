import { setTimeout as delay } from 'node:timers/promises';
import { isLatchkeyError, LatchkeyError } from './errors.ts';
import { ConnectionLost, type PostgresLimits, PostgresSession } from './postgres-connection.ts';
import { type PostgresAddress, showPostgres } from './postgres-url.ts';

const limits: PostgresLimits = {
  connect: 3_000,
  statement: 4_000,
  lock: 4_000,
  idleInTransaction: 10_000,
  answer: 5_000,
};
/** How often the line is tried while nobody uses it. */
const BEAT_MS = 5_000;
/** After so long without a word the server gives up this side: a machine that is gone or stands still holds no lock for longer. */
const LEASE_MS = 15_000;
const FIRST_PAUSE_MS = 100;
const MOST_PAUSE_MS = 2_000;

export interface LineParts {
  readonly address: PostgresAddress;
  /** What the server calls it, 63 bytes at the most. */
  readonly name: string;
  /** What it listens to: lower-case letters. */
  readonly channel: string;
  /** Told of everything that is said on the channel, also by this side. */
  readonly onText: (text: string) => void;
  /** The line was lost and is there again: what it held is gone, and what was said meanwhile was not heard. */
  readonly onUp?: () => void;
}

/**
 * One connection to PostgreSQL that is kept, and made again when it is lost: for what others say (LISTEN, NOTIFY) and for locks
 * that end with it. It must lead to the server itself, not to a pool that gives each transaction another connection.
 */
export class PostgresLine {
  readonly #parts: LineParts;
  #session: PostgresSession;
  #isClosed = false;
  /** Ends a pause: the connection is over, or the line is closed. */
  #waking = new AbortController();
  #keeping: Promise<void> = Promise.resolve();

  private constructor(parts: LineParts, session: PostgresSession) {
    this.#parts = parts;
    this.#session = session;
  }

  /** Throws `store_unreachable` when there is no connection now. */
  static async open(parts: LineParts): Promise<PostgresLine> {
    if (!/^[a-z]{1,32}$/.test(parts.channel)) throw new TypeError('a channel has lower-case letters');
    try {
      const line = new PostgresLine(parts, await connected(parts));
      line.#keeping = line.#keep();
      return line;
    } catch (cause) {
      throw isLatchkeyError(cause) ? cause : unreachable(parts.address, cause);
    }
  }

  get isUp(): boolean {
    return !this.#session.isOver;
  }

  /** One statement. Throws `store_unreachable` while the line is lost. */
  async ask<Row>(text: string, values: readonly unknown[] = []): Promise<readonly Row[]> {
    try {
      return (await this.#session.query(text, values)).rows as Row[];
    } catch (error) {
      throw error instanceof ConnectionLost ? unreachable(this.#parts.address, error) : error;
    }
  }

  /** Says it to everybody who listens, 7,999 bytes at the most. Whoever is not there never hears it. */
  async say(text: string): Promise<void> {
    await this.ask('select pg_notify($1, $2)', [this.#parts.channel, text]);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#waking.abort();
    this.#session.end();
    await this.#keeping;
  }

  async #keep(): Promise<void> {
    while (!this.#isClosed) {
      await this.#untilOver();
      if (this.#isClosed || !(await this.#again())) return;
      this.#parts.onUp?.();
    }
  }

  async #untilOver(): Promise<void> {
    const session = this.#session;
    const waking = this.#newWaking();
    session.onEnd(() => waking.abort());
    while (!session.isOver && !this.#isClosed) {
      await this.#pause(BEAT_MS);
      if (!session.isOver) await session.query('select 1').catch(() => session.end());
    }
  }

  /** False when it was closed meanwhile. */
  async #again(): Promise<boolean> {
    this.#newWaking();
    for (let pause = FIRST_PAUSE_MS; !this.#isClosed; pause = Math.min(pause * 2, MOST_PAUSE_MS)) {
      try {
        const session = await connected(this.#parts);
        this.#session = session;
        if (this.#isClosed) session.end();
        return !this.#isClosed;
      } catch {
        await this.#pause(pause);
      }
    }
    return false;
  }

  #newWaking(): AbortController {
    this.#waking = new AbortController();
    if (this.#isClosed) this.#waking.abort();
    return this.#waking;
  }

  #pause(millis: number): Promise<void> {
    return delay(millis, undefined, { signal: this.#waking.signal, ref: false }).catch(() => undefined);
  }
}

async function connected({ address, name, channel, onText }: LineParts): Promise<PostgresSession> {
  const session = await PostgresSession.open(address, limits, name);
  try {
    session.onText(onText);
    // the server itself ends what is silent; before version 14 it can only tell by the line (tcp_keepalives_…)
    await session.query(`
      select set_config('idle_session_timeout', '${LEASE_MS}', false)
        where current_setting('server_version_num')::int >= 140000;
      set tcp_keepalives_idle = 5; set tcp_keepalives_interval = 3; set tcp_keepalives_count = 3;
      listen ${channel}`);
    return session;
  } catch (error) {
    session.end();
    throw error;
  }
}

function unreachable(address: PostgresAddress, cause: unknown): LatchkeyError {
  return new LatchkeyError('store_unreachable', `the database ${showPostgres(address)} does not answer`, {
    status: 503,
    hint: 'is PostgreSQL running?',
    cause,
  });
}

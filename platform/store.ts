import type { Kysely } from 'kysely';

/**
 * Where a server keeps its state. A transaction either happens whole and is on disk when its promise resolves, or
 * leaves nothing. `work` may be run more than once (when another one in its company fails, or the database asks for a
 * retry), so it must do nothing but talk to `tx`, and it must wait for nothing else.
 */
export interface Store<DB> {
  transaction<T>(work: (tx: Kysely<DB>) => Promise<T>): Promise<T>;
  /** Sees what was committed, and never waits for a transaction under way. */
  read<T>(work: (db: Kysely<DB>) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

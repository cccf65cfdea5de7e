import { statSync } from 'node:fs';
import type { Kysely } from 'kysely';
import type { Clock } from './clock.ts';
import { isLatchkeyError, LatchkeyError } from './errors.ts';
import type { Store } from './store.ts';

/** How long a look at the files counts, in milliseconds: two system calls for each of thousands of requests would show. */
const lookEvery = 100;

/**
 * The store as requests see it: a transaction that cannot be put on disk, or of which nobody can tell, is `degraded` (503),
 * whatever the reason. SQLite goes on writing to a database whose file was deleted or replaced under it; such a record
 * would be lost with the process, so the files are compared with the ones that were opened. `databasePath` is `null` where
 * the database is another program's to look after.
 */
export function guardStore<DB>(store: Store<DB>, databasePath: string | null, clock: Clock): Store<DB> {
  const files = databasePath === null ? [] : [databasePath, `${databasePath}-wal`];
  const opened = files.map(identityOf);
  let lookedAt = Number.NEGATIVE_INFINITY;
  const assertPresent = (): void => {
    const now = clock.now();
    if (Math.abs(now - lookedAt) < lookEvery) return;
    if (files.some((file, index) => identityOf(file) !== opened[index])) throw degraded();
    lookedAt = now;
  };
  return {
    transaction: async <T>(work: (tx: Kysely<DB>) => Promise<T>): Promise<T> => {
      assertPresent();
      try {
        return await store.transaction(work);
      } catch (error) {
        throw isStoreFailure(error) ? degraded(error) : error;
      }
    },
    read: async (work) => {
      try {
        return await store.read(work);
      } catch (error) {
        throw isStoreFailure(error) ? degraded(error) : error;
      }
    },
    close: () => store.close(),
  };
}

/** The table that `isWritable` writes to. */
export interface WriteProbeTables {
  write_probe: { id: number; filling: Uint8Array };
}

/** More than an exchange writes: on a full disk a single page may still find room where an exchange does not. */
const probeFilling = Buffer.alloc(32_768);

/** Whether a transaction as large as an exchange's can be put on disk now; really writes. */
export async function isWritable<DB extends WriteProbeTables>(store: Store<DB>): Promise<boolean> {
  try {
    await store.transaction((tx) =>
      (tx as unknown as Kysely<WriteProbeTables>)
        .insertInto('write_probe')
        .values({ id: 1, filling: probeFilling })
        .onConflict((conflict) => conflict.column('id').doUpdateSet({ filling: probeFilling }))
        .execute(),
    );
    return true;
  } catch {
    return false;
  }
}

function identityOf(path: string): string {
  try {
    const { dev, ino } = statSync(path);
    return `${dev}:${ino}`;
  } catch {
    return 'none';
  }
}

const storeFailures = ['store_not_written', 'store_not_durable', 'store_unreachable', 'store_outcome_unknown'];

function isStoreFailure(error: unknown): boolean {
  if (isLatchkeyError(error)) return storeFailures.includes(error.code);
  return (error as NodeJS.ErrnoException | null)?.code === 'ERR_SQLITE_ERROR';
}

function degraded(cause?: unknown): LatchkeyError {
  return new LatchkeyError('degraded', 'the server cannot write its records', {
    status: 503,
    retryAfter: 10,
    cause,
  });
}

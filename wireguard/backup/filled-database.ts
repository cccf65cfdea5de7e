import { type Kysely, sql } from 'kysely';
import { type DatabasePlace, openDatabase, showDatabase } from '../../platform/database-choice.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import type { Store } from '../../platform/store.ts';
import { type HubDatabase, migrations } from '../store/schema.ts';
import { copyTables, differingTable, digestTables, emptyTables, isEmptyStore, type TableDigest } from './table-copy.ts';

/**
 * Puts everything of a store into the database at `place`, in one transaction, and compares both sides, table by table. One that
 * holds the very same already is taken as it is; any other content is refused (`database_taken`, exit 3). `from` must not change
 * meanwhile.
 */
export async function fillDatabase(from: Kysely<HubDatabase>, place: DatabasePlace): Promise<readonly TableDigest[]> {
  const wanted = await digestTables(from);
  const store = await openDatabase<HubDatabase>(place, { migrations, create: true });
  try {
    const isNew = await store.transaction(async (to) => {
      if (!(await isEmptyStore(to))) return false;
      await copyTables(from, to);
      return true;
    });
    const table = differingTable(wanted, await digestsBeside(from, store));
    if (table === null) return wanted;
    if (!isNew) throw databaseTaken(place);
    await store.transaction(emptyTables);
    throw new LatchkeyError('copy_differs', `what was copied differs from the store in "${table}"`, {
      hint: 'nothing was changed; is another program writing to one of them?',
    });
  } finally {
    await store.close();
  }
}

/** What the copy holds; its source is asked something now and then, as PostgreSQL ends a transaction that stands still. */
function digestsBeside(from: Kysely<HubDatabase>, copy: Store<HubDatabase>): Promise<readonly TableDigest[]> {
  return copy.read((db) => digestTables(db, () => sql`select 1`.execute(from)));
}

function databaseTaken(place: DatabasePlace): LatchkeyError {
  return new LatchkeyError('database_taken', `${showDatabase(place)}: there are rows in it already`, {
    exit: 3,
    hint: 'name an empty database, or move that one out of the way first',
  });
}

import type { Migration } from 'kysely';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bytes, clustered, rowNumber } from '../../platform/column-types.ts';
import { statement } from '../../platform/statement.ts';
import type { Store } from '../../platform/store.ts';

export interface ContractTables {
  item: { n: number };
  note: { name: string; at: number; body: Uint8Array };
}

/** Every kind of column the project has. */
export const contractMigrations: Record<string, Migration> = {
  '001': {
    up: async (db) => {
      await db.schema
        .createTable('item')
        .addColumn('n', rowNumber, (c) => c.primaryKey())
        .execute();
      await db.schema
        .createTable('note')
        .addColumn('name', 'text', (c) => c.primaryKey())
        .addColumn('at', 'bigint', (c) => c.notNull())
        .addColumn('body', bytes, (c) => c.notNull())
        .modifyEnd(clustered)
        .execute();
    },
  },
};

/** What the contract needs of a database. */
export interface StorePlace {
  /** Opens the same database each time until `renew`. */
  open(options: { readonly create: boolean }): Promise<Store<ContractTables>>;
  /** Makes place for a new, empty one. */
  renew(): Promise<void>;
}

/** What `Store` promises, whatever the database. */
export function testStoreContract(place: StorePlace): void {
  describe('as a store', () => contract(place));
}

function contract(place: StorePlace): void {
  let store: Store<ContractTables>;
  const add = (n: number) =>
    store.transaction(async (tx) => void (await tx.insertInto('item').values({ n }).execute()));
  const all = () =>
    store.read(async (db) => (await db.selectFrom('item').select('n').orderBy('n').execute()).map((row) => row.n));

  beforeEach(async () => {
    await place.renew();
    store = await place.open({ create: true });
  });
  afterEach(() => store.close());

  describe('opening', () => {
    it('refuses an empty place, and makes nothing there', async () => {
      await place.renew();
      await expect(place.open({ create: false })).rejects.toMatchObject({ code: 'store_missing' });
      await expect(place.open({ create: false })).rejects.toMatchObject({ code: 'store_missing' });
    });
    it('finds what was committed before', async () => {
      await add(7);
      await store.close();
      store = await place.open({ create: false });
      expect(await all()).toEqual([7]);
    });
  });

  describe('transaction()', () => {
    it('undoes only the job that fails, though its company shared the commit', async () => {
      const jobs = [1, 2, 3].map((n) =>
        store.transaction(async (tx) => {
          await tx.insertInto('item').values({ n }).execute();
          if (n === 2) throw new Error('second thoughts');
          return n;
        }),
      );
      const results = await Promise.allSettled(jobs);
      expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
      expect(await all()).toEqual([1, 3]);
    });

    it('rejects with the error of the job itself', async () => {
      const refusal = new Error('no');
      await expect(store.transaction(() => Promise.reject(refusal))).rejects.toBe(refusal);
    });

    it('refuses what breaks a constraint and keeps the first', async () => {
      const results = await Promise.allSettled([add(1), add(1)]);
      expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected']);
      expect(await all()).toEqual([1]);
    });

    it('answers each job of a group with its own result', async () => {
      const results = await Promise.all([1, 2, 3].map((n) => store.transaction(async () => n * 10)));
      expect(results).toEqual([10, 20, 30]);
    });

    it('runs jobs in the order they came, more than one group of them', async () => {
      const seen: number[] = [];
      await Promise.all(Array.from({ length: 300 }, (_, n) => store.transaction(async () => void seen.push(n))));
      expect(seen).toEqual(Array.from({ length: 300 }, (_, n) => n));
    });

    it('is not seen by read() before it is committed', async () => {
      let during: number[] = [-1];
      await store.transaction(async (tx) => {
        await tx.insertInto('item').values({ n: 9 }).execute();
        during = await all();
      });
      expect([during, await all()]).toEqual([[], [9]]);
    });

    it('is refused after close()', async () => {
      await store.close();
      await expect(add(1)).rejects.toMatchObject({ code: 'store_closed' });
      store = await place.open({ create: false });
    });
  });

  it('gives back times, counters and bytes as they were', async () => {
    const note = { name: 'ä "quoted" \u{1f511}', at: Date.UTC(2286, 10, 20), body: Uint8Array.from([0, 255, 39, 92]) };
    await store.transaction((tx) => tx.insertInto('note').values(note).execute());
    const row = await store.read((db) => db.selectFrom('note').selectAll().executeTakeFirstOrThrow());
    expect({ ...row, body: Uint8Array.from(row.body) }).toEqual(note);
    const { count, last } = await store.read((db) =>
      db
        .selectFrom('note')
        .select((eb) => [eb.fn.countAll<number>().as('count'), eb.fn.max('at').as('last')])
        .executeTakeFirstOrThrow(),
    );
    expect([count, last]).toEqual([1, note.at]);
  });

  it('binds a compiled statement by slot, whatever their order, and answers rows by name', async () => {
    const put = statement<ContractTables, [at: number, name: string, body: Uint8Array]>((db, slot) =>
      db.insertInto('note').values({ name: slot<string>(1), at: slot<number>(0), body: slot<Uint8Array>(2) }),
    );
    const between = statement<ContractTables, [from: number, to: number], ContractTables['note']>((db, slot) =>
      db
        .selectFrom('note')
        .selectAll()
        .where('at', '>=', slot<number>(0))
        .where('at', '<=', slot<number>(1))
        .where('at', '<>', slot<number>(0))
        .orderBy('at'),
    );
    await store.transaction(async (tx) => {
      for (const at of [3, 1, 2]) expect(await put(tx, at, `note ${at}`, Uint8Array.of(at))).toEqual([]);
      expect((await between(tx, 1, 2)).map(({ name }) => name)).toEqual(['note 2']);
    });
    const rows = await store.read((db) => Promise.resolve(between(db, 0, 9)));
    expect(rows.map(({ name, at, body }) => [name, at, ...body])).toEqual([
      ['note 1', 1, 1],
      ['note 2', 2, 2],
      ['note 3', 3, 3],
    ]);
    expect(await store.read((db) => Promise.resolve(between(db, 9, 99)))).toEqual([]);
  });

  it('lets two stores on one database count without losing a step', async () => {
    const other = await place.open({ create: false });
    await add(0);
    const step = (one: Store<ContractTables>) =>
      one.transaction(async (tx) => {
        const { n } = await tx.selectFrom('item').select('n').executeTakeFirstOrThrow();
        await tx
          .updateTable('item')
          .set({ n: n + 1 })
          .execute();
      });
    await Promise.all(Array.from({ length: 100 }, (_, n) => step(n % 2 === 0 ? store : other)));
    await other.close();
    expect(await all()).toEqual([100]);
  });
}

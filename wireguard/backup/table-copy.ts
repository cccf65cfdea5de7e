import { createHash } from 'node:crypto';
import { type Kysely, type RawBuilder, sql } from 'kysely';
import { LatchkeyError } from '../../platform/errors.ts';
import type { HubDatabase } from '../store/schema.ts';
import { type StoredTable, storedTables } from '../store/tables.ts';

/** What is copied and compared: the whole store, whichever database has it. */
type Db = Kysely<HubDatabase>;
type Row = Readonly<Record<string, unknown>>;

/** Rows at once: with the widest table well below what a statement may have of values. */
const pageRows = 400;

/** How many rows a table has, and what is in them. */
export interface TableDigest {
  readonly table: string;
  readonly rows: number;
  /** Sum of the SHA-256 of each row: the two databases sort text in different ways. */
  readonly digest: string;
}

/** Copies every row of every table. Both ends are to be transactions, and the target's tables empty. */
export async function copyTables(from: Db, to: Db): Promise<void> {
  for (const table of storedTables) {
    for await (const rows of pagesOf(from, table)) await insertRows(to, table, rows);
  }
}

/** Whether no table has a row. */
export async function isEmptyStore(db: Db): Promise<boolean> {
  for (const { name } of storedTables) {
    const { rows } = await sql`select 1 from ${sql.table(name)} limit 1`.execute(db);
    if (rows.length > 0) return false;
  }
  return true;
}

/** Takes every row out of every table. */
export async function emptyTables(db: Db): Promise<void> {
  for (const { name } of [...storedTables].reverse()) await sql`delete from ${sql.table(name)}`.execute(db);
}

/** `afterPage` is for who must not stand still meanwhile. */
export async function digestTables(
  db: Db,
  afterPage: () => Promise<unknown> = async () => undefined,
): Promise<readonly TableDigest[]> {
  const digests: TableDigest[] = [];
  for (const table of storedTables) {
    let count = 0;
    let sum = 0n;
    for await (const rows of pagesOf(db, table)) {
      count += rows.length;
      for (const row of rows) sum += rowHash(row);
      await afterPage();
    }
    const digest = BigInt.asUintN(256, sum).toString(16).padStart(64, '0');
    digests.push({ table: table.name, rows: count, digest });
  }
  return digests;
}

/** The first table in which two stores differ; `null` when they hold the same. */
export function differingTable(one: readonly TableDigest[], other: readonly TableDigest[]): string | null {
  const found = one.find(({ rows, digest }, index) => rows !== other[index]?.rows || digest !== other[index]?.digest);
  return found?.table ?? null;
}

async function* pagesOf(db: Db, { name, key }: StoredTable): AsyncGenerator<readonly Row[]> {
  const columns = sql.join(key.map((column) => sql.ref(column)));
  for (let after: RawBuilder<unknown> = sql`1 = 1`; ; ) {
    const page = sql<Row>`select * from ${sql.table(name)} where ${after} order by ${columns} limit ${sql.lit(pageRows)}`;
    const { rows } = await page.execute(db);
    if (rows.length > 0) yield rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < pageRows) return;
    after = sql`(${columns}) > (${sql.join(key.map((column) => last[column]))})`;
  }
}

async function insertRows(db: Db, { name }: StoredTable, rows: readonly Row[]): Promise<void> {
  const names = Object.keys(rows[0] ?? {});
  const values = rows.map((row) => sql`(${sql.join(names.map((column) => portable(row[column], name, column)))})`);
  const columns = sql.join(names.map((column) => sql.ref(column)));
  await sql`insert into ${sql.table(name)} (${columns}) values ${sql.join(values)}`.execute(db);
}

function portable(value: unknown, table: string, column: string): unknown {
  if (typeof value !== 'string' || !value.includes('\0')) return value;
  throw new LatchkeyError('store_not_copied', `a row of "${table}" has a zero byte in "${column}"`, {
    hint: 'PostgreSQL keeps no zero byte in a text: change that row first',
  });
}

function rowHash(row: Row): bigint {
  const hash = createHash('sha256');
  for (const column of Object.keys(row).sort()) {
    hash.update(`${column}\0`);
    update(hash, row[column]);
  }
  return BigInt(`0x${hash.digest('hex')}`);
}

/** Each value with its type and its length before it, so that no two rows are one text. */
function update(hash: ReturnType<typeof createHash>, value: unknown): void {
  if (value === null) hash.update('n');
  else if (typeof value === 'number') hash.update(`i${value};`);
  else if (typeof value === 'string') hash.update(`s${Buffer.byteLength(value)};${value}`);
  else if (value instanceof Uint8Array) hash.update(`b${value.length};`).update(value);
  else throw new TypeError(`a store has no value of the type ${typeof value}`);
}

import { randomBytes } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { type Kysely, sql } from 'kysely';
import { type HubDatabase, PLATFORMS } from '../../wireguard/store/schema.ts';
import { storedTables } from '../../wireguard/store/tables.ts';

/** A column as SQLite has it. */
export interface Column {
  readonly name: string;
  readonly type: string;
  readonly notnull: number;
  /** Its place in the primary key, from 1; 0 for the others. */
  readonly pk: number;
}

export type Rows = Readonly<Record<string, readonly Record<string, unknown>[]>>;

/** What a constraint of the schema allows in a column of that name, or in that column of one table. */
const choices: Readonly<Record<string, readonly string[]>> = {
  role: ['admin', 'operator', 'viewer'],
  algorithm: ['EdDSA', 'HS256'],
  payloads: ['plain', 'either', 'sealed'],
  sealed_with: ['passphrase', 'keyfile', 'age', 'nothing'],
  kind: ['spoke', 'device', 'gateway'],
  status: ['pending', 'active', 'inactive', 'disabled', 'deleted'],
  os_family: PLATFORMS,
  fetched_platform: PLATFORMS,
  end: ['registered', 'revoked', 'expired'],
  'install_token.platform': PLATFORMS,
};

/** The columns of each table in the database at `path`. */
export function columnsIn(path: string): ReadonlyMap<string, readonly Column[]> {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    const names = database
      .prepare("select name from sqlite_master where type = 'table' and name not like 'kysely%' order by name")
      .all()
      .map(({ name }) => String(name));
    const columns = (name: string) => database.prepare('select * from pragma_table_info(?)').all(name);
    return new Map(names.map((name) => [name, columns(name) as unknown as Column[]]));
  } finally {
    database.close();
  }
}

/** Any Unicode a text of PostgreSQL may hold, JSON, and what other languages call awkward. */
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }).map((one) => one.replaceAll('\0', '')),
  fc.json({ maxDepth: 2 }).map((one) => one.replaceAll('\0', '')),
  fc.constantFrom('', 'null', "'; drop table peer; --", '\\', '\u2028', 'e\u0301', 'é', '🙈', '\ufeff'),
);
const wide = fc.oneof(
  fc.maxSafeInteger(),
  fc.constantFrom(0, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 2 ** 31),
);
const narrow = fc.integer();

function anyOf(table: string, { name, type, notnull }: Column): fc.Arbitrary<unknown> {
  const lower = type.toLowerCase();
  const allowed = choices[`${table}.${name}`] ?? choices[name];
  const any: fc.Arbitrary<unknown> =
    allowed !== undefined
      ? fc.constantFrom(...allowed)
      : lower === 'blob'
        ? fc.uint8Array({ maxLength: 64 })
        : lower === 'bigint'
          ? wide
          : lower === 'integer'
            ? narrow
            : text;
  return notnull === 1 ? any : fc.option(any);
}

/** Rows for every table: keys and what must be unique are counted up, what refers to an interface names one. */
export function randomRows(columns: ReadonlyMap<string, readonly Column[]>): fc.Arbitrary<Rows> {
  const tables = storedTables.map(({ name }) => {
    const shape = Object.fromEntries((columns.get(name) ?? []).map((column) => [column.name, anyOf(name, column)]));
    return [name, fc.array(fc.record(shape), { minLength: name === 'interface' ? 1 : 0, maxLength: 8 })] as const;
  });
  return fc.record(Object.fromEntries(tables)).map((rows) => {
    const interfaces = rows.interface?.map((row, index) => `${String(row.name).slice(0, 5)}${index}`) ?? [];
    const made: Rows = Object.fromEntries(
      Object.entries(rows).map(([table, list]) => [
        table,
        list.map((row, index) => distinct(table, columns.get(table) ?? [], row, index, interfaces)),
      ]),
    );
    return { ...made, proxmox_node: nodesOf(made) };
  });
}

function distinct(
  table: string,
  columns: readonly Column[],
  row: Record<string, unknown>,
  index: number,
  interfaces: readonly string[],
): Record<string, unknown> {
  const made = { ...row };
  for (const { name, type, pk } of columns) {
    if (table === 'interface' && name === 'name') made[name] = interfaces[index];
    else if (name === 'interface') made[name] = interfaces[index % interfaces.length];
    else if (pk > 0 || ['public_key', 'place', 'name', 'token_hash', 'spoke_id'].includes(name)) {
      if (type.toLowerCase() === 'text') made[name] = `${String(row[name])}·${index}`;
      else if (type.toLowerCase() === 'blob') made[name] = Buffer.concat([randomBytes(16), row[name] as Uint8Array]);
      else made[name] = Math.abs(Number(row[name]) % 2 ** 52) - (Math.abs(Number(row[name]) % 2 ** 52) % 16) + index;
    }
  }
  return made;
}

/** A node is a peer, and of a cluster that is there. */
function nodesOf({ peer = [], proxmox_cluster: clusters = [], proxmox_node: nodes = [] }: Rows) {
  return nodes.slice(0, peer.length).map((node, index) => ({
    ...node,
    spoke_id: peer[index]?.id,
    cluster_id: node.cluster_id === null ? null : (clusters[index % Math.max(1, clusters.length)]?.id ?? null),
  }));
}

export async function insertRandomRows(db: Kysely<HubDatabase>, rows: Rows): Promise<void> {
  for (const { name } of storedTables) {
    for (const row of rows[name] ?? []) {
      const names = Object.keys(row);
      const columns = sql.join(names.map((column) => sql.ref(column)));
      const values = sql.join(names.map((column) => row[column]));
      await sql`insert into ${sql.table(name)} (${columns}) values (${values})`.execute(db);
    }
  }
}

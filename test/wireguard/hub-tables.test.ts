import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSqlite } from '../../platform/sqlite.ts';
import { migrations } from '../../wireguard/store/schema.ts';
import { storedTables } from '../../wireguard/store/tables.ts';
import { columnsIn } from './random-rows.ts';

let folder: string;
let path: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lk-tables-'));
  path = join(folder, 'hub.db');
  await (await openSqlite(path, { migrations, create: true })).close();
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('storedTables', () => {
  it('are all tables that the migrations make', () => {
    expect(storedTables.map(({ name }) => name).sort()).toEqual([...columnsIn(path).keys()]);
  });
  it.each(storedTables)('name the primary key of $name, in its order', ({ name, key }) => {
    const columns = columnsIn(path).get(name) ?? [];
    const primary = columns.filter(({ pk }) => pk > 0).sort((a, b) => a.pk - b.pk);
    expect(key).toEqual(primary.map((column) => column.name));
  });
  it.each(storedTables)('name every sealed column of $name', ({ name, sealed }) => {
    const columns = (columnsIn(path).get(name) ?? []).map((column) => column.name);
    expect([...sealed].sort()).toEqual(columns.filter((column) => /(^|_)sealed$/.test(column)).sort());
  });
  it('come behind those they refer to', () => {
    const database = new DatabaseSync(path, { readOnly: true });
    const order = storedTables.map(({ name }) => name);
    let references = 0;
    for (const [index, name] of order.entries()) {
      for (const { table } of database.prepare('select "table" from pragma_foreign_key_list(?)').all(name)) {
        expect(order.indexOf(String(table))).toBeLessThan(index);
        references += 1;
      }
    }
    database.close();
    expect(references).toBeGreaterThan(0);
  });
});

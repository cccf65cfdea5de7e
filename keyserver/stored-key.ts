import type { Kysely } from 'kysely';
import { statement } from '../platform/statement.ts';
import type { Vault } from '../platform/vault/vault.ts';
import { keyItem } from './clients/client.ts';
import type { Database } from './schema.ts';

/** A key as the store has it: sealed. */
export interface StoredKey {
  readonly id: string;
  readonly sealed: Uint8Array;
}

const oneKey = statement<Database, [client: string, id: string], { sealed: Uint8Array }>((db, slot) =>
  db
    .selectFrom('stored_key')
    .select('sealed')
    .where('client_id', '=', slot<string>(0))
    .where('key_id', '=', slot<string>(1)),
);

export async function findKey(tx: Kysely<Database>, client: string, id: string): Promise<StoredKey | null> {
  const row = (await oneKey(tx, client, id))[0];
  return row === undefined ? null : { id, sealed: row.sealed };
}

/** All the keys asked for, or the id of the first that is not there. */
export async function findKeys(
  tx: Kysely<Database>,
  client: string,
  ids: readonly string[],
): Promise<{ readonly keys: readonly StoredKey[]; readonly missing: string | null }> {
  const keys: StoredKey[] = [];
  for (const id of ids) {
    const key = await findKey(tx, client, id);
    if (key === null) return { keys, missing: id };
    keys.push(key);
  }
  return { keys, missing: null };
}

/**
 * The key the basic profile means without naming one: the only key, else the only `master_*` key. `ambiguous` when
 * there are several of either, `null` when there is none.
 */
export async function findBasicKey(tx: Kysely<Database>, client: string): Promise<StoredKey | 'ambiguous' | null> {
  const rows = await tx
    .selectFrom('stored_key')
    .select(['key_id', 'sealed'])
    .where('client_id', '=', client)
    .orderBy('key_id')
    .execute();
  const masters = rows.filter((row) => row.key_id.startsWith('master_'));
  const row = rows.length === 1 ? rows[0] : masters.length === 1 ? masters[0] : undefined;
  if (row !== undefined) return { id: row.key_id, sealed: row.sealed };
  return rows.length === 0 ? null : 'ambiguous';
}

/** Opens a stored key. */
export function openKey(vault: Vault, client: string, key: StoredKey): Buffer {
  return vault.open(keyItem(client, key.id), key.sealed);
}

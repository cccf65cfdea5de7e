import { createPublicKey, createSecretKey, type KeyObject } from 'node:crypto';
import type { Kysely } from 'kysely';
import { appendAudit } from '../../platform/audit-chain.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { statement } from '../../platform/statement.ts';
import type { Store } from '../../platform/store.ts';
import type { Actor } from '../hub/actor.ts';
import type { HubDatabase, JwtKeyTable } from '../store/schema.ts';
import { type Seal, secretName } from '../store/seal.ts';
import type { JwtKey } from './jwt.ts';

/** A key of the list; the key itself is sealed. */
export interface JwtKeyReport {
  readonly name: string;
  readonly algorithm: JwtKey['algorithm'];
  readonly createdAt: number;
}

/** Registers a key. Throws `jwt_key_exists`. */
export async function addJwtKey(
  tx: Kysely<HubDatabase>,
  seal: Seal,
  { name, algorithm, key }: JwtKey,
  by: Actor,
  now: number,
): Promise<void> {
  if ((await tx.selectFrom('jwt_key').select('name').where('name', '=', name).executeTakeFirst()) !== undefined) {
    throw new LatchkeyError('jwt_key_exists', `there is a key named ${name} already`, {
      hint: 'remove it first, or give this one another name: tokens name their key by kid',
    });
  }
  const bytes = algorithm === 'EdDSA' ? key.export({ format: 'der', type: 'spki' }) : key.export();
  const sealed = seal.seal(secretName('jwt-key', name), bytes);
  await tx.insertInto('jwt_key').values({ name, algorithm, key_sealed: sealed, created_at: now }).execute();
  await appendAudit(tx, { time: now, event: 'jwt_key_added', detail: { by: by.name, jwt_key: name, algorithm } });
}

/** Takes a key away; none of its tokens is good from the commit on. Throws `jwt_key_unknown`. */
export async function removeJwtKey(tx: Kysely<HubDatabase>, name: string, by: Actor, now: number): Promise<void> {
  const { numDeletedRows } = await tx.deleteFrom('jwt_key').where('name', '=', name).executeTakeFirstOrThrow();
  if (numDeletedRows === 0n) {
    throw new LatchkeyError('jwt_key_unknown', 'there is no key of that name', { hint: 'see wghub jwt list' });
  }
  await appendAudit(tx, { time: now, event: 'jwt_key_removed', detail: { by: by.name, jwt_key: name } });
}

/** All keys by name. */
export async function listJwtKeys(db: Kysely<HubDatabase>): Promise<JwtKeyReport[]> {
  const rows = await db.selectFrom('jwt_key').select(['name', 'algorithm', 'created_at']).orderBy('name').execute();
  return rows.map((row) => ({ name: row.name, algorithm: row.algorithm, createdAt: row.created_at }));
}

type KeyRow = Pick<JwtKeyTable, 'name' | 'algorithm' | 'key_sealed'>;

const readKey = statement<HubDatabase, [name: string], KeyRow>((db, slot) =>
  db.selectFrom('jwt_key').select(['name', 'algorithm', 'key_sealed']).where('name', '=', slot<string>(0)),
);

/** Two are enough to see that there is not only one. */
const readSome = statement<HubDatabase, [count: number], KeyRow>((db, slot) =>
  db.selectFrom('jwt_key').select(['name', 'algorithm', 'key_sealed']).limit(slot<number>(0)),
);

/** The keys that are registered now, each opened once for as long as it stays the same. */
export class JwtKeys {
  readonly #store: Store<HubDatabase>;
  readonly #seal: Seal;
  readonly #opened: Map<string, { readonly sealed: Buffer; readonly key: KeyObject }> = new Map();

  constructor(store: Store<HubDatabase>, seal: Seal) {
    this.#store = store;
    this.#seal = seal;
  }

  /** The key of that name, or without one the only key; `null` when there is none, or more than one to choose from. */
  async find(kid: string | null): Promise<JwtKey | null> {
    const rows = await this.#store.read(async (db) => (kid === null ? readSome(db, 2) : readKey(db, kid)));
    const [row] = rows;
    if (row === undefined || rows.length > 1) return null;
    const { name, algorithm } = row;
    return { name, algorithm, key: this.#open(name, algorithm, Buffer.from(row.key_sealed)) };
  }

  #open(name: string, algorithm: JwtKey['algorithm'], sealed: Buffer): KeyObject {
    const known = this.#opened.get(name);
    if (known?.sealed.equals(sealed) === true) return known.key;
    const bytes = this.#seal.open(secretName('jwt-key', name), sealed);
    const key =
      algorithm === 'EdDSA' ? createPublicKey({ key: bytes, format: 'der', type: 'spki' }) : createSecretKey(bytes);
    this.#opened.set(name, { sealed, key });
    return key;
  }
}

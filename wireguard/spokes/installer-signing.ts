import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import type { Store } from '../../platform/store.ts';
import type { HubDatabase } from '../store/schema.ts';
import { type Seal, secretName } from '../store/seal.ts';

const NAME = 'installer-key';

/** The key that signs installers, so that whoever knows it can tell the hub's scripts from others. */
export interface InstallerKey {
  /** PEM. */
  readonly publicKey: string;
  /** Ed25519 (RFC 8032) over the bytes of a script: 64 bytes in base64. */
  sign(script: string): string;
}

/** The hub's key for installers; the first who asks has it made. Hubs on one database have the same. */
export async function installerKey(store: Store<HubDatabase>, seal: Seal, now: number): Promise<InstallerKey> {
  const sealed = (await stored(store)) ?? (await make(store, seal, now));
  const der = Buffer.from(seal.open(secretName(NAME, ''), sealed));
  return keyOf(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
}

async function stored(store: Store<HubDatabase>): Promise<Uint8Array | null> {
  const row = await store.read((db) =>
    db.selectFrom('server_secret').select('sealed').where('name', '=', NAME).executeTakeFirst(),
  );
  return row?.sealed ?? null;
}

async function make(store: Store<HubDatabase>, seal: Seal, now: number): Promise<Uint8Array> {
  const der = generateKeyPairSync('ed25519').privateKey.export({ format: 'der', type: 'pkcs8' });
  const made = seal.seal(secretName(NAME, ''), der);
  return store.transaction(async (tx) => {
    await tx
      .insertInto('server_secret')
      .values({ name: NAME, sealed: made, created_at: now })
      .onConflict((conflict) => conflict.column('name').doNothing())
      .execute();
    const row = await tx
      .selectFrom('server_secret')
      .select('sealed')
      .where('name', '=', NAME)
      .executeTakeFirstOrThrow();
    return row.sealed; // another one may have been first
  });
}

function keyOf(key: KeyObject): InstallerKey {
  return {
    publicKey: createPublicKey(key).export({ format: 'pem', type: 'spki' }).toString(),
    sign: (script) => sign(null, Buffer.from(script), key).toString('base64'),
  };
}

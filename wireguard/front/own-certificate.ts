import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Kysely } from 'kysely';
import { appendAudit } from '../../platform/audit-chain.ts';
import type { RandomBytes } from '../../platform/clock.ts';
import { writeFileAtomic } from '../../platform/files.ts';
import type { Identity } from '../../platform/listening/identity.ts';
import type { Store } from '../../platform/store.ts';
import type { Actor } from '../hub/actor.ts';
import type { HubDatabase } from '../store/schema.ts';
import { type Seal, secretName } from '../store/seal.ts';
import { certificateFacts } from './certificate-facts.ts';

/** No browser takes a certificate that is good for longer. */
const days = 397;
const row = 'tls-key';

/** The certificate that the hub made for itself; its key is in the vault. */
export const ownCertificateFile = (directory: string): string => join(directory, 'tls.pem');

/** The certificate in a hub's data directory, PEM; `null` when there is none. */
export function readOwnCertificate(directory: string): string | null {
  const path = ownCertificateFile(directory);
  return existsSync(path) ? readFileSync(path, 'utf8') : null;
}

/** The private key of it, as the store has it; `null` when none was made. */
export async function sealedOwnKey(db: Kysely<HubDatabase>): Promise<Buffer | null> {
  const found = await db.selectFrom('server_secret').select('sealed').where('name', '=', row).executeTakeFirst();
  return found === undefined ? null : Buffer.from(found.sealed);
}

/** PKCS#8 DER. */
export function openOwnKey(seal: Seal, sealed: Uint8Array): Buffer {
  return seal.open(secretName('tls-key', ''), sealed);
}

export interface OwnCertificateOrder {
  /** Names and addresses, the first of them what the hub is called by. */
  readonly hosts: readonly string[];
  /** A new key in place of the one there is: whoever knows the hub by that does not know it any more. */
  readonly newKey: boolean;
  readonly by: Actor;
  readonly now: number;
}

/** Makes a certificate for the hub, with the key it has unless told, and notes it. */
export async function makeOwnCertificate(
  { directory, store, vault }: { readonly directory: string; readonly store: Store<HubDatabase>; readonly vault: Seal },
  { hosts, newKey, by, now }: OwnCertificateOrder,
  random: RandomBytes,
): Promise<Identity> {
  const { selfSigned } = await import('../../platform/certificates/self-signed.ts'); // large, and hardly ever needed
  const identity = await store.transaction(async (tx) => {
    const sealed = newKey ? null : await sealedOwnKey(tx);
    const privateKey = sealed === null ? null : openOwnKey(vault, sealed);
    const made = await selfSigned({ hosts, days, now, privateKey }, random);
    if (privateKey === null) await storeKey(tx, vault.seal(secretName('tls-key', ''), made.privateKey), now);
    const { sha256, pin } = certificateFacts(made.certificate);
    const detail = { by: by.name, hosts: [...hosts], certificate: sha256, pin };
    await appendAudit(tx, { time: now, event: 'tls_certificate_made', detail });
    return made;
  });
  writeFileAtomic(ownCertificateFile(directory), identity.certificate, { mode: 0o644 });
  return identity;
}

async function storeKey(tx: Kysely<HubDatabase>, sealed: Buffer, now: number): Promise<void> {
  await tx
    .insertInto('server_secret')
    .values({ name: row, sealed, created_at: now })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ sealed, created_at: now }))
    .execute();
}

import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { Kysely } from 'kysely';
import type { RandomBytes } from '../platform/clock.ts';
import { LatchkeyError } from '../platform/errors.ts';
import type { Store } from '../platform/store.ts';
import { certificateEnd, type Identity, isServerCertificateFor, issuedFrom } from './identity.ts';
import type { Database, ServerSecretTable } from './schema.ts';
import type { ItemName, Vault } from './vault.ts';

type SecretName = ServerSecretTable['name'];

/** The server's certificate is replaced when it has fewer days left. */
const renewalDays = 30;
const day = 86_400_000;

/** What a new server starts with; nothing is stored yet. */
export interface ServerSecrets {
  readonly authority: Identity;
  readonly server: Identity;
  /** Ed25519, PKCS#8 DER. */
  readonly auditPrivateKey: Buffer;
  /** PEM. */
  readonly auditPublicKey: string;
}

/** Makes the CA, the server's certificate and the key that signs the audit log. */
export async function makeServerSecrets(
  hosts: readonly string[],
  now: number,
  random: RandomBytes,
): Promise<ServerSecrets> {
  const { createAuthority, issueServerIdentity } = await certificates();
  const authority = await createAuthority('Latchkey key server', now, random);
  const audit = generateKeyPairSync('ed25519');
  return {
    authority,
    server: await issueServerIdentity(authority, hosts, now, random),
    auditPrivateKey: audit.privateKey.export({ format: 'der', type: 'pkcs8' }),
    auditPublicKey: audit.publicKey.export({ format: 'pem', type: 'spki' }).toString(),
  };
}

/** The new server's key for signing the audit log. */
export function auditPrivateKey(secrets: ServerSecrets): KeyObject {
  return createPrivateKey({ key: secrets.auditPrivateKey, format: 'der', type: 'pkcs8' });
}

/** Stores them, the private halves sealed. */
export async function storeServerSecrets(
  tx: Kysely<Database>,
  vault: Vault,
  secrets: ServerSecrets,
  now: number,
): Promise<void> {
  await storeSecret(tx, vault, 'ca-key', secrets.authority.privateKey, now);
  await storeCertificate(tx, 'ca', secrets.authority.certificate);
  await storeServerIdentity(tx, vault, secrets.server, now);
  await storeSecret(tx, vault, 'audit-key', secrets.auditPrivateKey, now);
}

/** The CA with its private key, for signing. */
export async function loadAuthority(tx: Kysely<Database>, vault: Vault, ca: string): Promise<Identity> {
  return { certificate: ca, privateKey: await loadSecret(tx, vault, 'ca-key') };
}

/** The newest server certificate, or `null` when none fits `hosts` or it ends within 30 days. */
export async function findServerCertificate(
  tx: Kysely<Database>,
  ca: string,
  hosts: readonly string[],
  now: number,
): Promise<string | null> {
  const newest = await tx
    .selectFrom('certificate')
    .select('pem')
    .where('purpose', '=', 'server')
    .orderBy('not_after', 'desc')
    .limit(1)
    .executeTakeFirst();
  if (newest === undefined || !isServerCertificateFor(newest.pem, ca, hosts)) return null;
  return certificateEnd(newest.pem) - now > renewalDays * day ? newest.pem : null;
}

/** The certificate and key to serve with, made anew when the present one will not do. */
export async function serverIdentity(
  store: Store<Database>,
  vault: Vault,
  ca: string,
  hosts: readonly string[],
  now: number,
  random: RandomBytes,
): Promise<Identity> {
  const present = await store.read(async (tx) => {
    const certificate = await findServerCertificate(tx, ca, hosts, now);
    return certificate === null ? null : { certificate, privateKey: await loadSecret(tx, vault, 'tls-key') };
  });
  if (present !== null) return present;
  const { issueServerIdentity } = await certificates();
  const authority = await store.read((tx) => loadAuthority(tx, vault, ca));
  const identity = await issueServerIdentity(authority, hosts, now, random);
  await store.transaction((tx) => storeServerIdentity(tx, vault, identity, now));
  return identity;
}

/** The key that signs the audit log. Throws `vault_damaged` unless it belongs to `publicKey` (PEM). */
export async function loadAuditKey(tx: Kysely<Database>, vault: Vault, publicKey: string): Promise<KeyObject> {
  const der = await loadSecret(tx, vault, 'audit-key');
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  if (createPublicKey(key).equals(createPublicKey(publicKey))) return key;
  throw new LatchkeyError('vault_damaged', 'audit.pub does not belong to the audit key in the vault');
}

/** The library behind it is large, and a serving process hardly ever needs it. */
function certificates(): Promise<typeof import('./certificates.ts')> {
  return import('./certificates.ts');
}

async function storeServerIdentity(tx: Kysely<Database>, vault: Vault, identity: Identity, now: number): Promise<void> {
  await storeSecret(tx, vault, 'tls-key', identity.privateKey, now);
  await tx.deleteFrom('certificate').where('purpose', '=', 'server').execute();
  await storeCertificate(tx, 'server', identity.certificate);
}

function itemOf(name: SecretName): ItemName {
  return { kind: name, client: '', id: name, version: 1 };
}

async function storeSecret(
  tx: Kysely<Database>,
  vault: Vault,
  name: SecretName,
  secret: Uint8Array,
  now: number,
): Promise<void> {
  const sealed = vault.seal(itemOf(name), secret);
  await tx
    .insertInto('server_secret')
    .values({ name, sealed, created_at: now })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ sealed, created_at: now }))
    .execute();
}

async function loadSecret(tx: Kysely<Database>, vault: Vault, name: SecretName): Promise<Buffer> {
  const row = await tx.selectFrom('server_secret').select('sealed').where('name', '=', name).executeTakeFirst();
  if (row === undefined) throw new LatchkeyError('vault_damaged', `the database holds no ${name}`);
  return vault.open(itemOf(name), row.sealed);
}

async function storeCertificate(tx: Kysely<Database>, purpose: 'ca' | 'server', pem: string): Promise<void> {
  const { serial, notBefore, notAfter } = issuedFrom(pem);
  await tx
    .insertInto('certificate')
    .values({ serial, client_id: null, purpose, pem, not_before: notBefore, not_after: notAfter, revoked_at: null })
    .execute();
}

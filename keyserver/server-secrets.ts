import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { Kysely } from 'kysely';
import { appendAudit } from '../platform/audit-chain.ts';
import type { RandomBytes } from '../platform/clock.ts';
import { LatchkeyError } from '../platform/errors.ts';
import { certificateEnd, hostsIn, type Identity, isKeyOf } from '../platform/listening/identity.ts';
import type { Store } from '../platform/store.ts';
import type { ItemName, Vault } from '../platform/vault/vault.ts';
import { type Authority, readAuthorities } from './certificates/authorities.ts';
import { isServerCertificateFor, issuedFrom } from './certificates/identity.ts';
import { liveCertificates, recordCertificate } from './certificates/records.ts';
import type { Database, ServerSecretTable } from './schema.ts';

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
  const issuer = await storeAuthority(tx, vault, secrets.authority, now);
  await storeServerIdentity(tx, vault, secrets.server, issuer, now);
  await storeSecret(tx, vault, 'audit-key', secrets.auditPrivateKey, now);
}

/** Notes a new authority, which signs from now on; answers its serial. */
export async function storeAuthority(
  tx: Kysely<Database>,
  vault: Vault,
  authority: Identity,
  now: number,
): Promise<string> {
  const issued = issuedFrom(authority.certificate);
  await storeSecret(tx, vault, `ca-key:${issued.serial}`, authority.privateKey, now);
  await recordCertificate(tx, { purpose: 'ca' }, issued, issued.serial, now);
  return issued.serial;
}

/** An authority that may sign. */
export interface SigningAuthority extends Authority, Identity {}

/** The authority that signs, or the one with this serial, with its private key. Throws `vault_damaged`. */
export async function loadAuthority(tx: Kysely<Database>, vault: Vault, serial?: string): Promise<SigningAuthority> {
  const live = await readAuthorities(tx);
  const authority = serial === undefined ? live[0] : live.find((one) => one.serial === serial);
  if (authority === undefined) throw new LatchkeyError('vault_damaged', 'the database holds no such authority');
  return { ...authority, privateKey: await loadSecret(tx, vault, `ca-key:${authority.serial}`) };
}

/** Destroys the private key of an authority: it can never sign again. */
export async function destroyAuthorityKey(tx: Kysely<Database>, serial: string): Promise<void> {
  await tx.deleteFrom('server_secret').where('name', '=', `ca-key:${serial}`).execute();
}

/** The server's certificate with the serial of its authority. */
export interface ServerCertificate {
  readonly certificate: string;
  readonly serial: string;
  readonly issuer: string;
}

/** The server's certificate, or `null` when it does not fit `hosts`, its authority has ended, or it ends within 30 days. */
export async function findServerCertificate(
  tx: Kysely<Database>,
  hosts: readonly string[],
  now: number,
): Promise<ServerCertificate | null> {
  const newest = (await liveCertificates(tx, 'server'))[0];
  const authority = (await readAuthorities(tx)).find((one) => one.serial === newest?.issuer);
  if (newest === undefined || authority === undefined) return null;
  if (!isServerCertificateFor(newest.pem, authority.certificate, hosts)) return null;
  if (certificateEnd(newest.pem) - now <= renewalDays * day) return null;
  return { certificate: newest.pem, serial: newest.serial, issuer: newest.issuer };
}

/**
 * The certificate and key to serve with, made anew when the present one will not do. Servers that share a database share
 * them too (`shared`): a new one is for the hosts of the one before it as well, or they would take turns for ever.
 */
export async function serverIdentity(
  store: Store<Database>,
  vault: Vault,
  hosts: readonly string[],
  now: number,
  random: RandomBytes,
  shared = false,
): Promise<Identity> {
  const present = await findServerIdentity(store, vault, hosts, now);
  if (present !== null) return present;
  return renewServerIdentity(store, vault, await hostsToName(store, hosts, shared), now, random);
}

/** The hosts of a new server certificate: this server's, and where a database is shared those of the present one too. */
export async function hostsToName(
  store: Store<Database>,
  hosts: readonly string[],
  shared: boolean,
): Promise<readonly string[]> {
  const before = shared ? await store.read(async (tx) => (await liveCertificates(tx, 'server'))[0]) : undefined;
  return before === undefined ? hosts : [...new Set([...hosts, ...hostsIn(before.pem)])];
}

/** Certificate and key are two reads: when another server changes both in between, they are read again. */
async function findServerIdentity(
  store: Store<Database>,
  vault: Vault,
  hosts: readonly string[],
  now: number,
): Promise<Identity | null> {
  for (let tries = 0; tries < 3; tries++) {
    const present = await store.read(async (tx) => {
      const found = await findServerCertificate(tx, hosts, now);
      return found === null ? null : { ...found, privateKey: await loadSecret(tx, vault, 'tls-key') };
    });
    if (present === null || isKeyOf(present.certificate, present.privateKey)) return present;
  }
  throw new LatchkeyError('vault_damaged', 'the key in the database is not of the certificate beside it');
}

/**
 * A new certificate and key for the server, by the authority of the present one as long as that holds: clients may not
 * know a newer one yet. `issuer` names another authority.
 */
export async function renewServerIdentity(
  store: Store<Database>,
  vault: Vault,
  hosts: readonly string[],
  now: number,
  random: RandomBytes,
  issuer?: string,
): Promise<Identity> {
  const { issueServerIdentity } = await certificates();
  const authority = await store.read(async (tx) => {
    const wanted = issuer ?? (await liveCertificates(tx, 'server'))[0]?.issuer;
    const holds = (await readAuthorities(tx)).some((one) => one.serial === wanted);
    return loadAuthority(tx, vault, holds ? wanted : issuer);
  });
  const identity = await issueServerIdentity(authority, hosts, now, random);
  await store.transaction(async (tx) => {
    await storeServerIdentity(tx, vault, identity, authority.serial, now);
    const detail = { certificate: issuedFrom(identity.certificate).serial, authority: authority.serial };
    await appendAudit(tx, { time: now, event: 'server_certificate_renewed', detail });
  });
  return identity;
}

/** The key that signs the audit log. Throws `vault_damaged` unless it belongs to `publicKey` (PEM). */
export async function loadAuditKey(tx: Kysely<Database>, vault: Vault, publicKey: string): Promise<KeyObject> {
  const der = await loadSecret(tx, vault, 'audit-key');
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  if (createPublicKey(key).equals(createPublicKey(publicKey))) return key;
  throw new LatchkeyError('vault_damaged', 'audit.pub does not belong to the audit key in the vault');
}

/** The public half of the key that signs the audit log (PEM), out of the sealed private half. */
export async function auditPublicKey(tx: Kysely<Database>, vault: Vault): Promise<string> {
  const der = await loadSecret(tx, vault, 'audit-key');
  const key = createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
  return key.export({ format: 'pem', type: 'spki' }).toString();
}

/** The library behind it is large, and a serving process hardly ever needs it. */
function certificates(): Promise<typeof import('./certificates/issuing.ts')> {
  return import('./certificates/issuing.ts');
}

async function storeServerIdentity(
  tx: Kysely<Database>,
  vault: Vault,
  identity: Identity,
  issuer: string,
  now: number,
): Promise<void> {
  await storeSecret(tx, vault, 'tls-key', identity.privateKey, now);
  await tx
    .updateTable('certificate')
    .set({ revoked_at: now, revoke_reason: 'replaced' })
    .where('purpose', '=', 'server')
    .where('revoked_at', 'is', null)
    .execute();
  await recordCertificate(tx, { purpose: 'server' }, issuedFrom(identity.certificate), issuer, now);
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

import type { Kysely } from 'kysely';
import * as z from 'zod';
import { appendAudit } from '../../platform/audit-chain.ts';
import type { Clock, RandomBytes } from '../../platform/clock.ts';
import { encodeBase64Url, sha256 } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import type { Store } from '../../platform/store.ts';
import { totpSecretText } from '../../platform/totp.ts';
import type { Vault } from '../../platform/vault/vault.ts';
import { raiseAlert } from '../alerts/raise.ts';
import type { IssuedCertificate } from '../certificates/identity.ts';
import { recordClientCertificate } from '../certificates/records.ts';
import { linkText, newLink } from '../link.ts';
import { startChain } from '../link-store.ts';
import type { Database } from '../schema.ts';
import { totpItem } from './client.ts';

/** How long an enrolment code waits for its use. */
export const codeLifetimeMs = 86_400_000;
/** RFC 4226, section 4, R6: a shared secret of 160 bits. */
export const totpSecretLength = 20;

/** What `POST /v1/enroll` takes. */
export const enrolRequest = z.strictObject({
  /** 43 characters, base64url of 32 bytes; arrives here as the bytes. */
  code: linkText,
  /** What the host calls itself; noted in the audit log. */
  name: z
    .string()
    .regex(/^[\x21-\x7e]{1,63}$/, 'must be 1 to 63 printable characters')
    .optional(),
  csr: z.string().max(8192).optional(),
});
export type EnrolRequest = z.infer<typeof enrolRequest>;

/** What it answers, with status 201. */
export interface Enrolled {
  readonly clientId: string;
  readonly token: string;
  /** Base32 without padding. */
  readonly totpSecret: string;
  readonly link: string;
  readonly certificate?: string;
  readonly ca: string;
  readonly keys: readonly string[];
}

export interface EnrolmentDeps {
  readonly store: Store<Database>;
  readonly vault: Vault;
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** The certificates a client trusts, PEM. */
  readonly ca: string;
  /** Whether a source may speak for a client with these networks. */
  readonly isAllowedSource: (source: string, networks: readonly string[]) => boolean;
  /** Signs a request for a client, or throws `csr_refused`. */
  readonly signRequest: (csr: string, clientId: string, now: number) => Promise<SignedRequest>;
}

/** A client's certificate, and the serial of the authority that signed it. */
export interface SignedRequest {
  readonly certificate: IssuedCertificate;
  readonly issuer: string;
}

/** A new one-time code for a client; codes it had before end here. 43 characters of base64url, kept as a digest only. */
export async function createEnrolmentCode(
  tx: Kysely<Database>,
  client: string,
  now: number,
  random: RandomBytes,
): Promise<string> {
  await withdrawCodes(tx, client, now);
  const code = random(32);
  await tx
    .insertInto('enrolment')
    .values({
      code_hash: sha256(code),
      client_id: client,
      created_at: now,
      expires_at: now + codeLifetimeMs,
      used_at: null,
    })
    .execute();
  return encodeBase64Url(code);
}

/** Ends the unused codes of a client. */
export async function withdrawCodes(tx: Kysely<Database>, client: string, now: number): Promise<void> {
  await tx
    .updateTable('enrolment')
    .set({ expires_at: now })
    .where('client_id', '=', client)
    .where('used_at', 'is', null)
    .where('expires_at', '>', now)
    .execute();
}

/**
 * Turns the holder of a code into the enrolled client: token, TOTP secret and first link are made here and told once.
 * Every wrong code, whatever is wrong with it, gets the same `unauthorized`; the caller counts it against the source.
 * A request for a certificate is judged after the code is known to be good, and a bad one does not spend the code.
 */
export async function enrol(request: EnrolRequest, source: string, deps: EnrolmentDeps): Promise<Enrolled> {
  const now = deps.clock.now();
  const client = await deps.store.read((tx) => findCodeHolder(tx, request.code, source, now, deps));
  if (client === null) throw codeRefused();
  const signed = request.csr === undefined ? null : await deps.signRequest(request.csr, client, now);
  const certificate = signed?.certificate ?? null;
  const token = deps.random(32);
  const totp = deps.random(totpSecretLength);
  const link = newLink(now, deps.random);
  const totpSealed = deps.vault.seal(totpItem(client), totp);
  const keys = await deps.store.transaction(async (tx) => {
    const used = await tx
      .updateTable('enrolment')
      .set({ used_at: now })
      .where('code_hash', '=', sha256(request.code))
      .where('client_id', '=', client)
      .where('used_at', 'is', null)
      .where('expires_at', '>', now)
      .executeTakeFirst();
    if (used.numUpdatedRows !== 1n) throw codeRefused(); // another request was first
    const enrolled = await tx
      .updateTable('client')
      .set({ state: 'enrolled', token_hash: sha256(token), totp_sealed: totpSealed, enrolled_at: now })
      .where('id', '=', client)
      .where('state', '=', 'new')
      .executeTakeFirst();
    if (enrolled.numUpdatedRows !== 1n) throw codeRefused();
    await startChain(tx, client, link);
    if (signed !== null) await recordClientCertificate(tx, client, signed.certificate, signed.issuer, now);
    await appendAudit(tx, {
      time: now,
      event: 'client_enrolled',
      client,
      source,
      detail: { certificate: certificate?.serial ?? null, host: request.name ?? null },
    });
    const { name } = await tx.selectFrom('client').select('name').where('id', '=', client).executeTakeFirstOrThrow();
    const host = request.name ?? null;
    await raiseAlert(tx, { event: 'client_enrolled', client: { id: client, name }, source, host }, now);
    const stored = await tx
      .selectFrom('stored_key')
      .select('key_id')
      .where('client_id', '=', client)
      .orderBy('key_id')
      .execute();
    return stored.map((row) => row.key_id);
  });
  return {
    clientId: client,
    token: encodeBase64Url(token),
    totpSecret: totpSecretText(totp),
    link: encodeBase64Url(link),
    ...(certificate !== null && { certificate: certificate.pem }),
    ca: deps.ca,
    keys,
  };
}

async function findCodeHolder(
  tx: Kysely<Database>,
  code: Uint8Array,
  source: string,
  now: number,
  deps: EnrolmentDeps,
): Promise<string | null> {
  const row = await tx
    .selectFrom('enrolment')
    .innerJoin('client', 'client.id', 'enrolment.client_id')
    .select(['client.id', 'client.networks'])
    .where('code_hash', '=', sha256(code))
    .where('used_at', 'is', null)
    .where('expires_at', '>', now)
    .where('client.state', '=', 'new')
    .executeTakeFirst();
  if (row === undefined) return null;
  return deps.isAllowedSource(source, JSON.parse(row.networks) as string[]) ? row.id : null;
}

function codeRefused(): LatchkeyError {
  return new LatchkeyError('unauthorized', 'the credentials were not accepted', { status: 401 });
}

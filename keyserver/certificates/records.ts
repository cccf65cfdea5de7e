import type { Kysely, Selectable } from 'kysely';
import { appendAudit } from '../../platform/audit-chain.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import type { CertificateTable, Database } from '../schema.ts';
import type { IssuedCertificate } from './identity.ts';

export type CertificateRow = Selectable<CertificateTable>;
export type RevokeReason = NonNullable<CertificateRow['revoke_reason']>;

/** Whose a certificate is, when it is noted. */
export interface Owner {
  readonly purpose: CertificateRow['purpose'];
  /** Clients only. */
  readonly client?: string;
  /** Administrators only. */
  readonly name?: string;
}

/** Notes a certificate that was signed by the authority with the serial `issuer`. */
export async function recordCertificate(
  tx: Kysely<Database>,
  owner: Owner,
  issued: IssuedCertificate,
  issuer: string,
  now: number,
): Promise<void> {
  await tx
    .insertInto('certificate')
    .values({
      serial: issued.serial,
      client_id: owner.client ?? null,
      purpose: owner.purpose,
      pem: issued.pem,
      not_before: issued.notBefore,
      not_after: issued.notAfter,
      revoked_at: null,
      issuer,
      digest: issued.digest,
      issued_at: now,
      used_at: null,
      name: owner.name ?? null,
      revoke_reason: null,
    })
    .execute();
}

/** The same for a client that from now on has to show one. */
export async function recordClientCertificate(
  tx: Kysely<Database>,
  client: string,
  issued: IssuedCertificate,
  issuer: string,
  now: number,
): Promise<void> {
  const last = await tx
    .selectFrom('certificate')
    .select((eb) => eb.fn.max('issued_at').as('at'))
    .where('client_id', '=', client)
    .executeTakeFirst();
  // the order they were issued in decides which one ends which, also when the clock went back
  const issuedAt = Math.max(now, Number(last?.at ?? 0) + 1);
  await recordCertificate(tx, { purpose: 'client', client }, issued, issuer, issuedAt);
  await tx
    .updateTable('client')
    .set({ certificate_since: now })
    .where('id', '=', client)
    .where('certificate_since', 'is', null)
    .execute();
}

/** Ends every certificate of a client. */
export async function revokeCertificatesOf(
  tx: Kysely<Database>,
  client: string,
  reason: RevokeReason,
  now: number,
): Promise<void> {
  await tx
    .updateTable('certificate')
    .set({ revoked_at: now, revoke_reason: reason })
    .where('client_id', '=', client)
    .where('revoked_at', 'is', null)
    .execute();
}

/**
 * A call that passed every gate showed this certificate for the first time: its client has it on disk, so whatever it
 * was issued before ends here. One that was issued later stays, for the answer with it may still be under way.
 */
export async function noteFirstUse(tx: Kysely<Database>, serial: string, now: number): Promise<void> {
  const row = await tx
    .selectFrom('certificate')
    .select(['client_id', 'issued_at'])
    .where('serial', '=', serial)
    .where('used_at', 'is', null)
    .where('revoked_at', 'is', null)
    .executeTakeFirst();
  if (row === undefined || row.client_id === null) return; // another call was first
  await tx.updateTable('certificate').set({ used_at: now }).where('serial', '=', serial).execute();
  const earlier = await tx
    .selectFrom('certificate')
    .select('serial')
    .where('client_id', '=', row.client_id)
    .where('purpose', '=', 'client')
    .where('revoked_at', 'is', null)
    .where('issued_at', '<', row.issued_at)
    .orderBy('issued_at')
    .execute();
  if (earlier.length === 0) return;
  const serials = earlier.map((one) => one.serial);
  await tx
    .updateTable('certificate')
    .set({ revoked_at: now, revoke_reason: 'replaced' })
    .where('serial', 'in', serials)
    .execute();
  await appendAudit(tx, {
    time: now,
    event: 'certificate_replaced',
    client: row.client_id,
    detail: { certificate: serial, replaced: serials },
  });
}

/** A certificate by its serial or the beginning of one, eight digits at least; throws `certificate_unknown`. */
export async function findCertificate(tx: Kysely<Database>, serial: string): Promise<CertificateRow> {
  const wanted = serial.toUpperCase();
  if (/^[0-9A-F]{8,40}$/.test(wanted)) {
    const rows = await tx
      .selectFrom('certificate')
      .selectAll()
      .where('serial', '>=', wanted)
      .where('serial', '<', `${wanted}G`)
      .limit(2)
      .execute();
    const row = rows[0];
    if (row !== undefined && rows.length === 1) return row;
  }
  throw new LatchkeyError('certificate_unknown', 'no certificate has this serial, or several begin with it', {
    hint: 'see keyserver cert list --all',
  });
}

/**
 * Ends one certificate for good. Refused (exit 3) for what the server itself stands on: replace that. Answers false when
 * it had ended before.
 */
export async function revokeCertificate(tx: Kysely<Database>, row: CertificateRow, now: number): Promise<boolean> {
  if (row.purpose === 'ca' || row.purpose === 'server') {
    const what = row.purpose === 'ca' ? 'an authority' : "the server's certificate";
    throw new LatchkeyError('certificate_in_use', `${what} is not revoked but replaced`, {
      exit: 3,
      hint: row.purpose === 'ca' ? 'keyserver cert rollover begin' : 'keyserver cert renew-server',
    });
  }
  if (row.revoked_at !== null) return false;
  await tx
    .updateTable('certificate')
    .set({ revoked_at: now, revoke_reason: 'revoked' })
    .where('serial', '=', row.serial)
    .execute();
  await appendAudit(tx, {
    time: now,
    event: 'certificate_revoked',
    ...(row.client_id !== null && { client: row.client_id }),
    detail: { certificate: row.serial, purpose: row.purpose, name: row.name },
  });
  return true;
}

/** The certificates of a purpose that have not ended, newest first. */
export function liveCertificates(tx: Kysely<Database>, purpose: CertificateRow['purpose']): Promise<CertificateRow[]> {
  return tx
    .selectFrom('certificate')
    .selectAll()
    .where('purpose', '=', purpose)
    .where('revoked_at', 'is', null)
    .orderBy('issued_at', 'desc')
    .orderBy('serial')
    .execute();
}

import type { Kysely } from 'kysely';
import { appendAudit } from '../../platform/audit-chain.ts';
import { constantTimeEqual } from '../../platform/encoding.ts';
import type { Database } from '../schema.ts';
import type { IssuedCertificate } from './identity.ts';
import { recordCertificate } from './records.ts';
import type { ShownCertificate } from './shown.ts';

/** Notes a certificate that was made for a person's browser. */
export async function recordAdminCertificate(
  tx: Kysely<Database>,
  name: string,
  issued: IssuedCertificate,
  issuer: string,
  now: number,
): Promise<void> {
  await recordCertificate(tx, { purpose: 'admin', name }, issued, issuer, now);
  const detail = { certificate: issued.serial, name };
  await appendAudit(tx, { time: now, event: 'admin_certificate_made', detail });
}

/**
 * Whose browser it is that showed this certificate, for pages that ask for one; `null` for a client's, a revoked, an
 * expired or a foreign one, and for none. A second factor at most: it says which browser, not who sits before it.
 */
export async function adminOf(
  tx: Kysely<Database>,
  shown: ShownCertificate | null,
  now: number,
): Promise<string | null> {
  if (shown === null || shown.authority === null || !shown.forClients) return null;
  if (now < shown.notBefore || now > shown.notAfter) return null;
  const row = await tx
    .selectFrom('certificate')
    .select(['name', 'digest'])
    .where('serial', '=', shown.serial)
    .where('purpose', '=', 'admin')
    .where('revoked_at', 'is', null)
    .executeTakeFirst();
  return row !== undefined && constantTimeEqual(row.digest, shown.digest) ? row.name : null;
}

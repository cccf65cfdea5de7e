import * as z from 'zod';
import { appendAudit } from '../../platform/audit-chain.ts';
import { parseInput } from '../../platform/schema.ts';
import type { Vault } from '../../platform/vault/vault.ts';
import type { CallHandler } from '../calls/answer.ts';
import { unsealed } from '../calls/release.ts';
import type { SignedRequest } from '../clients/enrolment.ts';
import type { Custody } from '../custody.ts';
import { hear } from '../hearing.ts';
import { refusalError } from '../refusal.ts';
import { loadAuthority } from '../server-secrets.ts';
import { readAuthorities } from './authorities.ts';
import { recordClientCertificate } from './records.ts';

/** What `POST /v1/certificate` takes: a PKCS#10 request in PEM. */
export const renewalBody = z.strictObject({ csr: z.string().max(8192) });

/**
 * `POST /v1/certificate`: the holder of a good certificate gets the next one. The present one holds until the next was
 * first used, so neither a lost answer nor a crash on either side leaves the client without.
 */
export const renewCertificate: CallHandler = async (request, caller, custody, now) => {
  const { csr } = parseInput(renewalBody, request.body);
  const { client, source } = caller;
  const serial = caller.certificate?.serial ?? '';
  const outcome = await hear(
    custody,
    { kind: 'certificate', caller, time: null, shown: null, act: async (_tx, { verdicts }) => verdicts },
    now,
  );
  if (outcome.refusal !== null) throw refusalError(outcome.refusal, now);
  const signed = await signFor(custody, unsealed(custody, now), csr, client, now);
  const recorded = await custody.store.transaction(async (tx) => {
    // signing took time, in which a person may have ended the client or its certificate
    const present = await tx
      .selectFrom('certificate')
      .innerJoin('client', 'client.id', 'certificate.client_id')
      .select('certificate.serial')
      .where('certificate.serial', '=', serial)
      .where('certificate.revoked_at', 'is', null)
      .where('client.id', '=', client)
      .where('client.state', '=', 'enrolled')
      .executeTakeFirst();
    const holds = (await readAuthorities(tx)).some((authority) => authority.serial === signed.issuer);
    if (present === undefined || !holds) return false;
    await recordClientCertificate(tx, client, signed.certificate, signed.issuer, now);
    await appendAudit(tx, {
      time: now,
      event: 'certificate_renewed',
      client,
      source,
      verdicts: outcome.value,
      detail: { certificate: signed.certificate.serial, shown: serial },
    });
    return true;
  });
  if (!recorded) throw refusalError({ verdict: 'deny', code: 'unauthorized' }, now);
  return { status: 200, body: { certificate: signed.certificate.pem, ca: custody.authorities.bundle } };
};

/** Signs a client's request with the authority that signs now, or throws `csr_refused`. */
export async function signFor(
  custody: Pick<Custody, 'store' | 'random' | 'authorities'>,
  vault: Vault,
  csr: string,
  client: string,
  now: number,
): Promise<SignedRequest> {
  const { signClientRequest } = await import('./issuing.ts'); // large, and only this needs it
  const authority = await custody.store.read((tx) => loadAuthority(tx, vault));
  await custody.authorities.refresh(); // the answer names it, should it be a new one
  const certificate = await signClientRequest(authority, csr, client, now, custody.random);
  return { certificate, issuer: authority.serial };
}

import { appendAudit } from '../../platform/audit-chain.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { findTotpStep } from '../../platform/totp.ts';
import { useApproval } from '../approvals/held-request.ts';
import type { CaseFile } from '../case-file.ts';
import type { Custody } from '../custody.ts';
import { recordDenial } from '../denial-record.ts';
import { hear } from '../hearing.ts';
import { afterAnyRelease } from '../policy/machine-record.ts';
import { savePulse } from '../pulse.ts';
import { notFound, refused } from '../refusal.ts';
import { findBasicKey, openKey } from '../stored-key.ts';
import type { CallHandler } from './answer.ts';
import { unsealed } from './release.ts';

/**
 * `GET /key`, the basic profile: one key for a token and, when the client has a secret, a TOTP code that is then used up.
 * The used code and the audit record are on disk before the key is sent.
 */
export const basicKey: CallHandler = async (_request, caller, custody, now) => {
  const started = performance.now();
  const outcome = await hear(
    custody,
    {
      kind: 'key',
      caller,
      time: null,
      shown: null,
      machine: { fingerprint: null, bootId: null, reason: 'basic' },
      act: async (tx, { file, verdicts, approval }) => {
        const key = await findBasicKey(tx, caller.client);
        if (key === null || key === 'ambiguous') return { problem: key };
        const totpStep = usedStep(custody, file, caller.totp, now);
        const { source } = caller;
        if (approval !== null) await useApproval(tx, approval, source, now);
        const seen = { totpStep, source, heardAt: now, releasedAt: now, ...afterAnyRelease(file.pulse, verdicts, now) };
        await savePulse(tx, caller.client, { ...file.pulse, ...seen });
        await appendAudit(tx, {
          time: now,
          event: 'key_released',
          client: caller.client,
          source: caller.source,
          keys: [key.id],
          reason: 'basic',
          verdicts,
          ...(approval !== null && { detail: { approval } }),
          ms: Math.round(performance.now() - started),
        });
        return { problem: undefined, key };
      },
    },
    now,
  );
  if (outcome.refusal !== null) return refused(outcome.refusal, now);
  const { value } = outcome;
  if (value.problem !== undefined) {
    const code = value.problem === null ? 'not_found' : 'key_ambiguous';
    const denial = { now, event: 'request_denied', code, reason: value.problem ?? 'no key' };
    await recordDenial(custody, { ...denial, source: caller.source, client: caller.client, call: 'key' });
    if (value.problem === null) throw notFound('key of this client', 'key');
    throw new LatchkeyError('key_ambiguous', 'this client has several keys and none of them is the only master key', {
      status: 409,
    });
  }
  const key = openKey(unsealed(custody, now), caller.client, value.key);
  return { status: 200, body: { key: key.toString('base64') } };
};

/** The step of the code that gate `totp` accepted; the remembered one for a client without a secret. */
function usedStep(custody: Custody, file: CaseFile, code: string | null, now: number): number {
  const sealed = file.client?.totpSealed ?? null;
  if (file.client === null || sealed === null || code === null) return file.pulse.totpStep;
  return (
    findTotpStep(custody.codeBook.knownCodes(file.client.id, now), code, file.pulse.totpStep) ?? file.pulse.totpStep
  );
}

import { appendAudit } from '../../platform/audit-chain.ts';
import { parseInput } from '../../platform/schema.ts';
import type { Vault } from '../../platform/vault/vault.ts';
import { useApproval } from '../approvals/held-request.ts';
import { promoted } from '../chain.ts';
import { noteTold, openOffer } from '../clients/rotation.ts';
import type { Custody } from '../custody.ts';
import { recordDenial } from '../denial-record.ts';
import { hear } from '../hearing.ts';
import { linkFromBytes } from '../link.ts';
import { afterRelease } from '../policy/machine-record.ts';
import { savePulse } from '../pulse.ts';
import { notFound, refusalError } from '../refusal.ts';
import { findKeys, openKey, type StoredKey } from '../stored-key.ts';
import { releaseBody } from '../wire.ts';
import type { CallHandler } from './answer.ts';
import type { Session } from './sessions.ts';

const noSession: Session = {
  client: '',
  linkId: '',
  reason: '',
  fingerprint: null,
  bootId: null,
  said: {},
  approval: null,
};

/**
 * `POST /v1/release`: the link that `open` issued comes back as proof that it was stored, and pays for the keys. The move
 * of the chain and its audit record are one transaction; the keys are opened and sent only after it is on disk.
 */
export const release: CallHandler = async (request, caller, custody, now) => {
  const started = performance.now();
  const body = parseInput(releaseBody, request.body);
  const shown = linkFromBytes(body.link);
  const session = custody.sessions.find(body.session, caller.client, now) ?? noSession;
  const outcome = await hear(
    custody,
    {
      kind: 'release',
      caller,
      time: body.time,
      shown,
      fork: { linkId: shown.id, bootId: session.bootId, fingerprint: session.fingerprint },
      facts: () => ({ sessionHolds: session.linkId === shown.id }),
      act: async (tx, { file, link, verdicts }) => {
        const { keys, missing } = await findKeys(tx, caller.client, body.keys);
        if (missing !== null) {
          await savePulse(tx, caller.client, { ...file.pulse, lastTime: body.time });
          return { missing };
        }
        const { source } = caller;
        const { fingerprint, bootId, reason, said, approval } = session;
        if (approval !== null && !(await useApproval(tx, approval, source, now))) {
          await savePulse(tx, caller.client, { ...file.pulse, lastTime: body.time });
          return { missing: 'approval' as const };
        }
        const { ttl } = file.client?.policy ?? { ttl: 0 };
        const rotation = file.client?.rotation ?? null;
        if (file.client !== null && rotation !== null) await noteTold(tx, file.client, rotation, now);
        await savePulse(tx, caller.client, {
          ...file.pulse,
          chain: promoted(link.number ?? 0, file.pulse.chain),
          confirmedAt: body.time,
          lastTime: body.time,
          source,
          fingerprint,
          heardAt: now,
          releasedAt: now,
          ...afterRelease(file.pulse, session, said, ttl * 1000, now),
        });
        const record = {
          time: now,
          event: 'key_released',
          client: caller.client,
          source,
          keys: body.keys,
          reason,
          verdicts: { ...verdicts, ...said },
          link: shown.id,
          ms: Math.round(performance.now() - started),
          detail: {
            ...{ bootId, fingerprint },
            ...(approval !== null && { approval }),
            ...(rotation !== null && { rotation: 'told' }),
          },
        };
        const head = await appendAudit(tx, record, file.head);
        return { missing: null, keys, head, policy: file.client?.policy, rotation };
      },
    },
    now,
  );
  if (outcome.refusal !== null) throw refusalError(outcome.refusal, now);
  const { value } = outcome;
  // the yes was used, taken back or ran out since the open: the next open tells
  if (value.missing === 'approval') throw refusalError({ verdict: 'deny', code: 'stale_message' }, now);
  if (value.missing !== null) {
    const denial = { now, event: 'request_denied', code: 'not_found', reason: 'no such key' };
    await recordDenial(custody, { ...denial, source: caller.source, client: caller.client, call: 'release' });
    throw notFound('such key of this client', 'keys');
  }
  custody.sessions.end(body.session);
  const vault = unsealed(custody, now);
  const rotate = value.rotation === null ? {} : { rotate: openOffer(vault, caller.client, value.rotation) };
  return {
    status: 200,
    body: { keys: openAll(vault, caller.client, value.keys), policy: value.policy, head: value.head, ...rotate },
  };
};

/** The vault, which may have been sealed since the gates were asked. */
export function unsealed(custody: Custody, now: number): Vault {
  const vault = custody.vault();
  if (vault === null) throw refusalError({ verdict: 'deny', code: 'sealed' }, now);
  return vault;
}

function openAll(vault: Vault, client: string, keys: readonly StoredKey[]): Record<string, string> {
  return Object.fromEntries(keys.map((key) => [key.id, openKey(vault, client, key).toString('base64')]));
}

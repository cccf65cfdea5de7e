import { createHmac } from 'node:crypto';
import type { Kysely } from 'kysely';
import { appendAudit, auditHead } from '../../platform/audit-chain.ts';
import { constantTimeEqual } from '../../platform/encoding.ts';
import { parseInput } from '../../platform/schema.ts';
import { raiseAlert } from '../alerts/raise.ts';
import type { CaseFile } from '../case-file.ts';
import { clientDefaults } from '../clients/client.ts';
import type { Custody } from '../custody.ts';
import type { Refusal } from '../heard-call.ts';
import { hear } from '../hearing.ts';
import { findLinkById } from '../link-store.ts';
import { type Absence, absenceNow, joined } from '../presence/absence.ts';
import { savePulse } from '../pulse.ts';
import { refusalError } from '../refusal.ts';
import type { Database } from '../schema.ts';
import { type HeartbeatBody, heartbeatBody } from '../wire.ts';
import type { CallHandler } from './answer.ts';
import { noticeText, takeNotice } from './client-notice.ts';

/** Stands in for the key of the proof when the link is unknown, so that the HMAC is worked out all the same. */
const noHash = Buffer.alloc(32);

/**
 * `POST /v1/heartbeat`: the client proves its newest stored link and is told whether its cached keys may live on. A client
 * that was locked, revoked or killed hears `purge` as long as its token is right.
 */
export const heartbeat: CallHandler = async (request, caller, custody, now) => {
  const body = parseInput(heartbeatBody, request.body);
  const outcome = await hear(
    custody,
    {
      kind: 'heartbeat',
      caller,
      time: body.time,
      shown: null,
      fork: { linkId: body.linkId, bootId: body.bootId, fingerprint: null },
      facts: async (tx, { pulse }) => {
        const link = await findLinkById(tx, body.linkId, pulse);
        return { link, proven: isProven(link.hash, body) };
      },
      act: async (tx, { file }) => {
        const { bootId, time } = body;
        const { source, client } = caller;
        const absence = await noticeAbsence(tx, custody, file, bootId, source, now);
        const heard = { lastTime: time, bootId, source, heardAt: now, presentAt: now, absence };
        await savePulse(tx, client, { ...file.pulse, ...heard });
        if (body.notice !== undefined && file.client !== null) {
          await takeNotice(tx, file.client, body.notice, source, now);
        }
      },
    },
    now,
  );
  const { file, refusal } = outcome;
  const purge = isToPurge(custody, file, refusal);
  if (refusal !== null && !(refusal.gate === 'chain' && (purge || refusal.code === 'locked'))) {
    throw refusalError(refusal, now);
  }
  const { ttl, staleIfError } = clientDefaults;
  const ca = custody.authorities.news(now);
  return {
    status: 200,
    body: {
      state: purge ? 'purge' : 'ok',
      policy: file.client?.policy ?? { ttl, staleIfError },
      head: await custody.store.read(auditHead),
      ...(ca !== null && { ca }),
    },
  };
};

/** proof = HMAC-SHA-256(H(link), linkId | time | bootId), and with a notice that behind it. */
export function heartbeatProof(
  hash: Uint8Array,
  body: Pick<HeartbeatBody, 'linkId' | 'time' | 'bootId' | 'notice'>,
): Buffer {
  const { linkId, time, bootId, notice } = body;
  return createHmac('sha256', hash)
    .update(`${linkId}|${time}|${bootId}${noticeText(notice)}`)
    .digest();
}

function isProven(hash: Uint8Array | null, body: HeartbeatBody): boolean {
  const right = constantTimeEqual(heartbeatProof(hash ?? noHash, body), Buffer.from(body.proof, 'hex'));
  return right && hash !== null;
}

function isToPurge(custody: Custody, { client, killed }: CaseFile, refusal: Refusal | null): boolean {
  if (client === null) return false;
  if (killed || custody.killFile() || client.killed || client.state === 'revoked') return true;
  const isForked = client.state === 'locked' || (refusal?.code === 'locked' && refusal.reason === 'fork');
  return isForked && client.forkPolicy === 'lock+purge';
}

/**
 * The absences that count after this heartbeat. It ends one, and clears none that the gate `presence` will hold a fetch
 * for; the owner hears of it now, not when somebody fetches.
 */
async function noticeAbsence(
  tx: Kysely<Database>,
  { ownTime }: Custody,
  { client, pulse }: CaseFile,
  bootId: string,
  source: string,
  now: number,
): Promise<Absence | null> {
  if (client === null) return pulse.absence;
  const absence = absenceNow(pulse, bootId, ownTime.gaps(now), client.gates.absence, now);
  if (absence === null) return pulse.absence;
  const { since, until, kind } = absence;
  const answer = kind === 'own' ? client.gates.ownGap : client.gates.presence;
  if (answer === 'off') return pulse.absence;
  const outcome = answer === 'hold' ? 'held' : 'alerted';
  const { id, name } = client;
  const detail = { since, until, outcome };
  await appendAudit(tx, { time: now, event: 'absence_noticed', client: id, source, reason: kind, detail });
  const fault = kind === 'own' ? 'server' : 'client';
  const facts = { client: { id, name }, source, from: since, to: until, fault, outcome } as const;
  await raiseAlert(tx, { event: 'presence_gap', ...facts }, now);
  return answer === 'hold' ? joined(pulse.absence, absence) : pulse.absence;
}

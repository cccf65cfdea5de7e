import { createHmac } from 'node:crypto';
import { auditHead } from '../platform/audit-chain.ts';
import { constantTimeEqual } from '../platform/encoding.ts';
import { parseInput } from '../platform/schema.ts';
import type { CallHandler } from './answer.ts';
import type { CaseFile } from './case-file.ts';
import { clientDefaults } from './client.ts';
import type { Custody } from './custody.ts';
import { hear, type Refusal } from './hearing.ts';
import { findLinkById } from './link-store.ts';
import { savePulse } from './pulse.ts';
import { refusalError } from './refusal.ts';
import { type HeartbeatBody, heartbeatBody } from './wire.ts';

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
        await savePulse(tx, client, { ...file.pulse, lastTime: time, bootId, source, heardAt: now });
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
  return {
    status: 200,
    body: {
      state: purge ? 'purge' : 'ok',
      policy: file.client?.policy ?? { ttl, staleIfError },
      head: await custody.store.read(auditHead),
    },
  };
};

/** proof = HMAC-SHA-256(H(link), linkId | time | bootId). */
export function heartbeatProof(hash: Uint8Array, body: Pick<HeartbeatBody, 'linkId' | 'time' | 'bootId'>): Buffer {
  return createHmac('sha256', hash).update(`${body.linkId}|${body.time}|${body.bootId}`).digest();
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

import { auditHashAt, headText } from '../platform/audit-chain.ts';
import { encodeBase64Url } from '../platform/encoding.ts';
import { parseInput } from '../platform/schema.ts';
import type { CallHandler } from './answer.ts';
import { promoted } from './chain.ts';
import { hear, recordDenial } from './hearing.ts';
import { linkFromBytes, newLink } from './link.ts';
import { fileLink } from './link-store.ts';
import { savePulse } from './pulse.ts';
import { refusalError } from './refusal.ts';
import { sessionLife } from './sessions.ts';
import { openBody } from './wire.ts';

/**
 * `POST /v1/open`: judges the caller and issues its next link, pending, with a session to release it in. Nothing secret
 * leaves here but that link.
 */
export const open: CallHandler = async (request, caller, custody, now) => {
  const { sessions, random } = custody;
  const body = parseInput(openBody, request.body);
  const shown = linkFromBytes(body.link);
  const nextBytes = newLink(now, random);
  const next = linkFromBytes(nextBytes);
  let isBehind = false;
  const outcome = await hear(
    custody,
    {
      kind: 'open',
      caller,
      time: body.time,
      shown,
      fork: { linkId: shown.id, bootId: body.bootId, fingerprint: body.fingerprint },
      known: async (tx) => {
        isBehind = body.seen !== null && (await auditHashAt(tx, body.seen.seq)) !== body.seen.head;
      },
      act: async (tx, { file: { pulse, head }, link }) => {
        const stored = link.standing === 'pending' && link.number !== null; // its holder crashed after storing it
        const chain = stored ? promoted(link.number, pulse.chain) : pulse.chain;
        const filed = await fileLink(tx, caller.client, next, { ...pulse, chain });
        const arrival = { source: caller.source, lastTime: body.time, heardAt: now, bootId: body.bootId };
        await savePulse(tx, caller.client, { ...filed, ...arrival });
        return headText(head);
      },
    },
    now,
  );
  if (isBehind) {
    // the client remembers a record this log does not have: the log was set back, and with it spent links
    const { client } = caller;
    const event = 'server_rollback_suspected';
    await recordDenial(custody, { now, event, code: event, source: caller.source, client, call: 'open' });
  }
  if (outcome.refusal !== null) throw refusalError(outcome.refusal, now);
  const session = sessions.newId();
  const { reason, fingerprint, bootId } = body;
  sessions.begin(session, { client: caller.client, linkId: next.id, reason, fingerprint, bootId }, now);
  return {
    status: 200,
    body: { next: encodeBase64Url(nextBytes), session, expiresInMs: sessionLife, head: outcome.value },
  };
};

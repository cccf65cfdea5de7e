import { auditHashAt, headText } from '../../platform/audit-chain.ts';
import { encodeBase64Url } from '../../platform/encoding.ts';
import { parseInput } from '../../platform/schema.ts';
import { promoted } from '../chain.ts';
import { recordDenial } from '../denial-record.ts';
import { hear } from '../hearing.ts';
import type { Judgement } from '../judgement.ts';
import { linkFromBytes, newLink } from '../link.ts';
import { fileLink } from '../link-store.ts';
import { type Pulse, savePulse } from '../pulse.ts';
import { refused } from '../refusal.ts';
import { openBody } from '../wire.ts';
import type { CallHandler } from './answer.ts';
import { sessionLife } from './sessions.ts';

/**
 * `POST /v1/open`: judges the caller and issues its next link, pending, with a session to release it in. Nothing secret
 * leaves here but that link.
 */
export const open: CallHandler = async (request, caller, custody, now) => {
  const { sessions, random } = custody;
  const body = parseInput(openBody, request.body);
  const { reason, fingerprint, bootId } = body;
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
      machine: { fingerprint, bootId, reason },
      fork: { linkId: shown.id, bootId, fingerprint },
      known: async (tx) => {
        isBehind = body.seen !== null && (await auditHashAt(tx, body.seen.seq)) !== body.seen.head;
      },
      act: async (tx, { file: { pulse, head }, link, verdicts, approval }) => {
        const stored = link.standing === 'pending' && link.number !== null; // its holder crashed after storing it
        const chain = stored ? promoted(link.number, pulse.chain) : pulse.chain;
        const confirmedAt = stored ? body.time : pulse.confirmedAt;
        const filed = await fileLink(tx, caller.client, next, { ...pulse, chain, confirmedAt });
        const arrival = { source: caller.source, lastTime: body.time, heardAt: now, bootId };
        await savePulse(tx, caller.client, { ...filed, ...arrival, ...clearedBy(verdicts, pulse, now) });
        return { head: headText(head), said: saidBy(verdicts), approval };
      },
    },
    now,
  );
  if (isBehind) {
    // the client remembers a record this log does not have: the log was set back, and with it spent links
    const { client } = caller;
    const event = 'server_rollback_suspected';
    const { source } = caller;
    const named = outcome.file.client;
    const alert =
      named === null || body.seen === null
        ? {}
        : { alert: { event, client: named, source, seen: body.seen.seq, head: outcome.file.head.seq } as const };
    await recordDenial(custody, { now, event, code: event, source, client, call: 'open', ...alert });
  }
  if (outcome.refusal !== null) return refused(outcome.refusal, now);
  const { head, said, approval } = outcome.value;
  const session = sessions.newId();
  const { client } = caller;
  sessions.begin(session, { client, linkId: next.id, reason, fingerprint, bootId, said, approval }, now);
  return {
    status: 200,
    body: { next: encodeBase64Url(nextBytes), session, expiresInMs: sessionLife, head },
  };
};

/** What the policy lets pass in presence is cleared with that; what a person has to clear waits for the release. */
function clearedBy(verdicts: Judgement['verdicts'], pulse: Pulse, now: number): Partial<Pulse> {
  if (verdicts.presence === 'alert') return { absence: null, presentAt: pulse.presentAt === null ? null : now };
  return verdicts.presence === 'approved' ? {} : { absence: null };
}

/** What the release's record will tell of this call's gates. */
function saidBy(verdicts: Judgement['verdicts']): Readonly<Record<string, string>> {
  const said: Record<string, string> = {};
  for (const gate in verdicts) if (verdicts[gate] !== 'pass') said[gate] = verdicts[gate] ?? '';
  return said;
}

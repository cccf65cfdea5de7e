import type { Kysely } from 'kysely';
import type { RateOutcome } from '../platform/rate.ts';
import type { Alert } from './alerts/alert.ts';
import type { CaseFile } from './case-file.ts';
import type { Client } from './clients/client.ts';
import type { Custody } from './custody.ts';
import { recordDenial } from './denial-record.ts';
import { recordFork } from './fork.ts';
import type { GateRequest, GateState } from './gate.ts';
import { ended, expired } from './gates/certificate.ts';
import { chain } from './gates/chain.ts';
import type { Hearing, Refusal } from './heard-call.ts';
import { savePulse } from './pulse.ts';
import type { Database } from './schema.ts';

/** Gates from which on the caller is known to be who it says. */
function isKnownCaller(refusal: Refusal): boolean {
  if (refusal.reason === expired) return true;
  return refusal.code !== 'unauthorized' && !['seal', 'kill', 'source', 'rate', 'totp'].includes(refusal.gate);
}

/**
 * The refusal by which a message counts for the chain. Whoever shows a certificate that the client had before gets no
 * further than that, and its link is looked at all the same: a copy that renewed the certificate first and took the key
 * would otherwise leave its original a refused caller and nothing more.
 */
function chainsRefusal(refusal: Refusal, request: GateRequest, state: GateState): Refusal | null {
  if (refusal.gate === 'certificate' && refusal.reason === ended) {
    return { ...chain.judge(request, state), gate: chain.name };
  }
  return isKnownCaller(refusal) && refusal.gate !== 'certificate' ? refusal : null;
}

/** What a refusal changes: the time of a judged message, and for a fork the lock. In the transaction that refused. */
export async function afterRefusal<T>(
  tx: Kysely<Database>,
  hearing: Hearing<T>,
  file: CaseFile,
  { request, state }: { readonly request: GateRequest; readonly state: GateState },
  first: Refusal,
  now: number,
): Promise<void> {
  const refusal = chainsRefusal(first, request, state);
  if (refusal === null || (first.gate === 'certificate' && !isFork(refusal, file))) return;
  if (hearing.time === null || state.chain.fresh !== 'fresh') return;
  await savePulse(tx, hearing.caller.client, { ...file.pulse, lastTime: Math.max(hearing.time, file.pulse.lastTime) });
  const { kind, fork } = hearing;
  if (fork !== undefined && isFork(refusal, file) && (kind === 'open' || kind === 'release' || kind === 'heartbeat')) {
    const { source } = hearing.caller;
    await recordFork(tx, file, { call: kind, source, time: hearing.time, ...fork }, now);
  }
}

/** True for the refusal that showed a fork, false for those that follow because the client is locked. */
function isFork(refusal: Refusal, file: CaseFile): boolean {
  return refusal.code === 'locked' && refusal.reason === 'fork' && file.client?.state === 'enrolled';
}

/** What a call that ended so is to the rate. */
export function rateOutcome(refusal: Refusal | null): RateOutcome {
  if (refusal === null || isKnownCaller(refusal)) return 'served';
  return ['seal', 'kill', 'rate'].includes(refusal.gate) ? 'dropped' : 'refused';
}

/** What is told of a refusal once it is certain. */
export async function afterwards<T>(
  custody: Custody,
  hearing: Hearing<T>,
  refusal: Refusal,
  file: CaseFile,
  now: number,
): Promise<void> {
  const code = refusal.code ?? refusal.verdict;
  custody.metrics.refused(refusal.gate, code);
  if (isFork(refusal, file)) {
    custody.metrics.forked();
    return; // the fork has its own record
  }
  if (refusal.verdict === 'hold') return; // so has the question to a person
  await recordDenial(custody, {
    now,
    event: 'request_denied',
    code,
    source: hearing.caller.source,
    client: file.client?.id ?? null,
    call: hearing.kind,
    gate: refusal.gate,
    reason: refusal.reason ?? null,
    ...(refusal.gate === 'source' && file.client !== null && { alert: sourceAlert(hearing, file.client) }),
    ...(refusal.gate === 'certificate' && { alert: certificateAlert(hearing.caller.source, refusal, file) }),
  });
}

/** Token and code were right, and the certificate was not: somebody has a part of the credentials. */
function certificateAlert(source: string, { reason = 'refused' }: Refusal, { client }: CaseFile): Alert {
  const who = client === null ? null : { id: client.id, name: client.name };
  return { event: 'certificate_refused', client: who, source, reason };
}

/** Somebody speaks in a client's name from where it does not live. */
function sourceAlert<T>({ kind, caller }: Hearing<T>, client: Client): Alert {
  return { event: 'source_refused', client, source: caller.source, call: kind };
}

import { LatchkeyError } from '../platform/errors.ts';
import type { RefusalCode, Verdict } from './gate.ts';

/** What each refusal is over HTTP: one status and one text, whatever led to it. */
const answers: Readonly<Record<RefusalCode, { readonly status: number; readonly message: string }>> = {
  sealed: { status: 503, message: 'the key server is sealed' },
  killed: { status: 503, message: 'the key server was stopped by its kill switch' },
  source_refused: { status: 403, message: 'this client may not ask from this address' },
  rate_limited: { status: 429, message: 'too many requests' },
  unauthorized: { status: 401, message: 'the credentials were not accepted' },
  basic_disabled: { status: 403, message: 'the basic profile is not enabled for this client' },
  stale_message: { status: 409, message: 'the message came too late or the clocks differ; start again with open' },
  locked: { status: 423, message: 'this client is locked' },
  degraded: { status: 503, message: 'the key server cannot write its records, so it releases nothing' },
  approval_pending: { status: 202, message: 'a person has been asked' },
};

/** The error a refused caller gets. */
export function refusalError(refusal: Verdict, now: number, cause?: unknown): LatchkeyError {
  const code = refusal.code ?? 'unauthorized';
  const { status, message } = answers[code];
  const extra: Record<string, unknown> = {};
  if (code === 'stale_message') extra.serverTime = now;
  if (code === 'locked') extra.reason = refusal.reason;
  return new LatchkeyError(code, message, {
    status,
    extra,
    ...(cause === undefined ? {} : { cause }),
    ...(refusal.retryAfter === undefined ? {} : { retryAfter: refusal.retryAfter }),
  });
}

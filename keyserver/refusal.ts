import { LatchkeyError } from '../platform/errors.ts';
import type { AppResponse } from '../platform/http-app.ts';
import type { RefusalCode, Verdict } from './gate.ts';

/** What each refusal is over HTTP: one status and one text, whatever led to it. */
const answers: Readonly<Record<RefusalCode, { readonly status: number; readonly message: string }>> = {
  sealed: { status: 503, message: 'the key server is sealed' },
  killed: { status: 503, message: 'the key server was stopped by its kill switch' },
  source_refused: { status: 403, message: 'this client may not ask from this address' },
  rate_limited: { status: 429, message: 'too many requests' },
  unauthorized: { status: 401, message: 'the credentials were not accepted' },
  certificate_expired: { status: 401, message: 'the certificate of this client has expired' },
  basic_disabled: { status: 403, message: 'the basic profile is not enabled for this client' },
  stale_message: { status: 409, message: 'the message came too late or the clocks differ; start again with open' },
  locked: { status: 423, message: 'this client is locked' },
  degraded: { status: 503, message: 'the key server cannot write its records, so it releases nothing' },
  fingerprint_refused: { status: 403, message: 'this machine is not the one that was enrolled' },
  outside_hours: { status: 403, message: 'this client may not ask at this hour' },
  approval_pending: { status: 202, message: 'a person has been asked' },
  approval_denied: { status: 403, message: 'a person was asked, and did not say yes' },
};

/** What a refused caller gets: an error, or for a hold the answer that a person was asked. */
export function refused(refusal: Verdict, now: number): AppResponse {
  if (refusal.verdict !== 'hold') throw refusalError(refusal, now);
  const { approval, retryAfter } = refusal;
  const headers = retryAfter === undefined ? {} : { 'Retry-After': String(retryAfter) };
  return { status: 202, body: { code: 'approval_pending', approval, retryAfter }, headers };
}

/** The error a refused caller gets. */
export function refusalError(refusal: Verdict, now: number, cause?: unknown): LatchkeyError {
  const code = refusal.code ?? 'unauthorized';
  const { status, message } = answers[code];
  const extra: Record<string, unknown> = {};
  if (code === 'stale_message') extra.serverTime = now;
  if (code === 'locked' || code === 'approval_denied') extra.reason = refusal.reason;
  if (refusal.approval !== undefined) extra.approval = refusal.approval;
  return new LatchkeyError(code, message, {
    status,
    extra,
    ...(cause === undefined ? {} : { cause }),
    ...(refusal.retryAfter === undefined ? {} : { retryAfter: refusal.retryAfter }),
  });
}

/** What a call that found no such thing answers. */
export function notFound(what: string, field: string): LatchkeyError {
  return new LatchkeyError('not_found', `there is no ${what}`, { status: 404, field });
}

import { TLSSocket } from 'node:tls';
import { isLatchkeyError, LatchkeyError } from '../../platform/errors.ts';
import type { AppRequest, AppResponse, Route } from '../../platform/http-app.ts';
import { isWithin } from '../../platform/listening/network.ts';
import type { RatePolicy } from '../../platform/rate.ts';
import { parseInput } from '../../platform/schema.ts';
import { tellLockout } from '../alerts/lockout.ts';
import { signFor } from '../certificates/renewal.ts';
import { clientDefaults } from '../clients/client.ts';
import { enrol, enrolRequest } from '../clients/enrolment.ts';
import type { Custody } from '../custody.ts';
import { recordDenial } from '../denial-record.ts';
import { killedSince } from '../kill-switch.ts';
import { refusalError } from '../refusal.ts';

/** Holders of codes have no client id yet; per source they share one bucket and one lock-out under this name. */
const stranger = 'enroll';
const strangerRate: RatePolicy = {
  perHour: clientDefaults.ratePerHour,
  burst: clientDefaults.burst,
  lockout: clientDefaults.lockout,
};

/** `POST /v1/enroll`. */
export function enrolmentRoute(custody: Custody): Route {
  return {
    method: 'POST',
    path: '/v1/enroll',
    bodyLimit: 64 * 1024,
    handler: (request) => limited(custody, request, () => answer(custody, request)),
  };
}

/** Every refused code costs its source rate, and from the fifth on a growing wait. */
async function limited(custody: Custody, request: AppRequest, work: () => Promise<AppResponse>): Promise<AppResponse> {
  const { limiter } = custody;
  const { source } = request;
  const now = custody.clock.now();
  let outcome: 'served' | 'refused' | 'dropped' = 'dropped';
  limiter.enter(stranger, source);
  try {
    const view = limiter.look(stranger, source, strangerRate, 'free', now);
    if (!view.allowed) throw rateLimited(view.retryAfter);
    const response = await work();
    outcome = 'served';
    return response;
  } catch (error) {
    if (isLatchkeyError(error, 'unauthorized')) outcome = 'refused';
    if (isLatchkeyError(error, 'unauthorized') || isLatchkeyError(error, 'rate_limited')) {
      const { code } = error;
      await recordDenial(custody, { now, event: 'request_denied', code, source, client: null, call: 'enroll' });
    }
    throw error;
  } finally {
    const first = limiter.settle(stranger, source, strangerRate, 'free', outcome, now);
    if (first) await tellLockout(custody, null, source, 'enroll', now);
  }
}

async function answer(custody: Custody, request: AppRequest): Promise<AppResponse> {
  const { store, clock, random } = custody;
  const vault = custody.vault();
  if (vault === null) throw refusalError({ verdict: 'deny', code: 'sealed' }, clock.now());
  const killed = custody.killFile() || (await store.read(killedSince)) !== null;
  if (killed) throw refusalError({ verdict: 'deny', code: 'killed' }, clock.now());
  const { csr, ...rest } = parseInput(enrolRequest, request.body);
  // over plain HTTP there is nothing to show a certificate to
  const wanted = request.socket instanceof TLSSocket && csr !== undefined ? { ...rest, csr } : rest;
  const body = await enrol(wanted, request.source, {
    store,
    vault,
    clock,
    random,
    ca: custody.authorities.bundle,
    isAllowedSource: isWithin,
    signRequest: (text, client, now) => signFor(custody, vault, text, client, now),
  });
  return { status: 201, body };
}

function rateLimited(retryAfter: number): LatchkeyError {
  return new LatchkeyError('rate_limited', 'too many requests', { status: 429, retryAfter });
}

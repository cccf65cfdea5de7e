import type { RandomBytes } from '../../platform/clock.ts';
import { isLatchkeyError, LatchkeyError } from '../../platform/errors.ts';
import { type AppRequest, type AppResponse, problemOf } from '../../platform/http-app.ts';
import type { Log } from '../../platform/log.ts';
import { problemMembers } from '../calls/problem.ts';
import type { Actor } from '../hub/actor.ts';
import type { GatewayDoor, Verified } from './gateway-door.ts';
import type { Gateway } from './gateway-store.ts';
import { openPayload, sealPayload } from './payload.ts';

/** A request of a gateway that was let in, its payload opened. */
export interface GatewayCall {
  readonly gateway: Gateway;
  readonly actor: Actor;
  readonly body: unknown;
  readonly params: AppRequest['params'];
  readonly query: AppRequest['query'];
}

interface CallParts {
  readonly door: GatewayDoor;
  readonly random: RandomBytes;
  readonly log: Log;
}

/** A handler behind the door. Where the payload was sealed or has to be, the answer is sealed too, whatever it is. */
export function forGateways(
  { door, random, log }: CallParts,
  handler: (call: GatewayCall) => Promise<AppResponse>,
): (request: AppRequest) => Promise<AppResponse> {
  return async (request) => {
    const verified = await door.verify(request);
    const { gateway, actor } = verified;
    const answer = async (): Promise<AppResponse> => {
      const { params, query } = request;
      return handler({ gateway, actor, body: openBody(verified, request), params, query });
    };
    if (!isSealed(gateway, request)) return answer();
    return sealAnswer(await answer().catch((error: unknown) => refusal(error, log)), verified, request, random);
  };
}

/** What `{"payload": "…"}` holds; `null` when the body is something else. */
function sealedTextOf(body: unknown): string | null {
  if (typeof body !== 'object' || body === null) return null;
  const { payload, ...others } = body as { payload?: unknown };
  return typeof payload === 'string' && Object.keys(others).length === 0 ? payload : null;
}

function isSealed({ payloads }: Gateway, { body }: AppRequest): boolean {
  return payloads === 'sealed' || (payloads === 'either' && sealedTextOf(body) !== null);
}

function openBody({ gateway, secret, nonce }: Verified, { body, bytes, method, target }: AppRequest): unknown {
  if (bytes.length === 0) return undefined;
  const text = sealedTextOf(body);
  if (text === null && gateway.payloads !== 'sealed') return body;
  if (text === null) {
    throw new LatchkeyError('payload_required', 'the body must be a sealed payload', {
      status: 400,
      field: 'payload',
      hint: 'the gateway was registered with --payloads sealed',
    });
  }
  if (gateway.payloads === 'plain') {
    throw new LatchkeyError('payload_unexpected', 'the body must not be a sealed payload', {
      status: 400,
      field: 'payload',
      hint: 'the gateway was registered with --payloads plain',
    });
  }
  const opened = openPayload(secret, { direction: 'request', method, path: target, nonce, status: null }, text);
  try {
    return JSON.parse(utf8.decode(opened));
  } catch {
    throw new LatchkeyError('invalid_request', '"payload" must hold JSON', { status: 400, field: 'payload' });
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function sealAnswer(
  response: AppResponse,
  { secret, nonce }: Verified,
  { method, target }: AppRequest,
  random: RandomBytes,
): AppResponse {
  const call = { direction: 'response', method, path: target, nonce, status: response.status } as const;
  return {
    ...response,
    body: { payload: sealPayload(secret, call, Buffer.from(JSON.stringify(response.body)), random) },
  };
}

/** An error as it is answered; what the server would log of it has to be logged here, as it will see none. */
function refusal(error: unknown, log: Log): AppResponse {
  const problem = problemOf(error, problemMembers);
  if (problem.status >= 500) {
    const cause = isLatchkeyError(error) ? (error.cause ?? error) : error;
    const { name, code, stack } = cause as { name?: string; code?: string; stack?: string };
    log.error({ status: problem.status, name, errorCode: code, stack }, 'request of a gateway failed');
  }
  return problem;
}

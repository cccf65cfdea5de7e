import { isLatchkeyError } from '../../platform/errors.ts';
import type { AppRequest, AppResponse } from '../../platform/http-app.ts';
import { shownOn } from '../certificates/shown.ts';
import type { Custody } from '../custody.ts';
import type { CallKind } from '../gate.ts';
import { refusalError } from '../refusal.ts';
import { type Caller, readCaller } from './caller.ts';

/** A handler of the wire protocol: what it answers when nothing stands in the way, or a throw. */
export type CallHandler = (request: AppRequest, caller: Caller, custody: Custody, now: number) => Promise<AppResponse>;

/** Wraps a handler with what all calls share: the caller's credentials, the time, and the counters. */
export function answering(
  call: CallKind,
  handler: CallHandler,
  custody: Custody,
): (request: AppRequest) => Promise<AppResponse> {
  return async (request) => {
    const started = performance.now();
    const now = custody.clock.now();
    let code = 'ok';
    try {
      const certificate = await shownOn(request.socket, custody.authorities);
      const caller = readCaller(request.headers, request.source, now, certificate);
      return await handler(request, caller, custody, now);
    } catch (error) {
      code = isLatchkeyError(error) ? error.code : 'internal_error';
      throw degraded(error, now);
    } finally {
      custody.metrics.called(call, code, performance.now() - started);
    }
  };
}

/** A store that cannot be written means that nothing can be recorded, so nothing is released: 503 `degraded`. */
function degraded(error: unknown, now: number): unknown {
  if (!isLatchkeyError(error) || !error.code.startsWith('store_')) return error;
  return refusalError({ verdict: 'deny', code: 'degraded' }, now, error);
}

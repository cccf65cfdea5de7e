import type { LatchkeyError } from '../../platform/errors.ts';

/**
 * What the hub's problem documents have besides RFC 9457: `error`, the sentence, and `code` in capitals (`POOL_EXHAUSTED`), which
 * its callers compare; `recoveryHint` where there is something to do.
 */
export function problemMembers({ code, message, hint }: LatchkeyError): Readonly<Record<string, unknown>> {
  return { error: message, code: code.toUpperCase(), ...(hint === undefined ? {} : { recoveryHint: hint }) };
}

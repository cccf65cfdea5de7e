import { isLatchkeyError } from '../../platform/errors.ts';

/** Pure: what went wrong, for a report, which it must not end. Only our own errors are told in their words. */
export function faultWords(error: unknown): string {
  return isLatchkeyError(error) ? error.message : 'something broke that should not have';
}

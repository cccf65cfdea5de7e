import { failureText } from '../../platform/alert-delivery.ts';
import type { Custody } from '../custody.ts';
import { raiseAlert } from './raise.ts';

/**
 * Tells that `source` has to wait from now on, as `client` or as a stranger. The caller was answered already, so a
 * failure is logged and no more.
 */
export async function tellLockout(
  { store, log }: Pick<Custody, 'store' | 'log'>,
  client: { readonly id: string; readonly name: string } | null,
  source: string,
  call: string,
  now: number,
): Promise<void> {
  try {
    await store.transaction((tx) => raiseAlert(tx, { event: 'lockout', client, source, call }, now));
  } catch (cause) {
    log.error({ reason: failureText(cause) }, 'alert was not queued');
  }
}

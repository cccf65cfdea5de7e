import type { Kysely } from 'kysely';
import { appendAudit } from '../../platform/audit-chain.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Log } from '../../platform/log.ts';
import type { Store } from '../../platform/store.ts';
import { type Actor, HUB } from '../hub/actor.ts';
import type { HubDatabase } from '../store/schema.ts';
import type { InstallToken } from './install-token.ts';
import { expireTokens, forgetTokens, revokeMembers } from './install-token-store.ts';

const SWEEP_MS = 60_000;
/** What one transaction ends: others wait for it. */
const AT_ONCE = 200;
/** How long a token that is over is listed. */
const REMEMBERED_MS = 90 * 86_400_000;

/** Ends tokens whose time is over, frees their addresses and writes that down. Answers how many, `AT_ONCE` at the most. */
export async function sweepTokens(tx: Kysely<HubDatabase>, now: number): Promise<number> {
  const over = await expireTokens(tx, now, AT_ONCE);
  for (const token of over) {
    await recordToken(tx, 'install_token_expired', token, HUB, now, { fetched: token.fetchedAt !== null });
  }
  return over.length;
}

/** Ends what a spoke that is removed has invited and nobody has fetched, and writes that down. */
export async function endInvitationsOf(
  tx: Kysely<HubDatabase>,
  spokeId: string,
  by: Actor,
  now: number,
): Promise<void> {
  for (const token of await revokeMembers(tx, spokeId, now)) {
    await recordToken(tx, 'install_token_revoked', token, by, now, { invited_by: spokeId });
  }
}

/** One record of the audit log about a token, never its text. */
export function recordToken(
  tx: Kysely<HubDatabase>,
  event: string,
  token: InstallToken,
  { name: by, source }: Actor,
  now: number,
  more: Readonly<Record<string, string | number | boolean | null>>,
): Promise<unknown> {
  const { id, interface: on, spokeId: spoke, spokeName: name, addresses } = token;
  return appendAudit(tx, {
    time: now,
    event,
    ...(source === null ? {} : { source }),
    detail: { by, token: id, interface: on, spoke, name, addresses, ...more },
  });
}

/** Sweeps each minute (or every so many milliseconds) for as long as the hub runs. Answers how it is ended. */
export function startSweeper(
  parts: { readonly store: Store<HubDatabase>; readonly clock: Clock; readonly log: Log },
  every = SWEEP_MS,
): () => Promise<void> {
  const { store, clock, log } = parts;
  let sweeping: Promise<void> = Promise.resolve();
  const sweep = async (): Promise<void> => {
    try {
      const now = clock.now();
      while ((await store.transaction((tx) => sweepTokens(tx, now))) === AT_ONCE);
      await store.transaction((tx) => forgetTokens(tx, now - REMEMBERED_MS));
    } catch (error) {
      const { code: problem, message: reason } = error as { code?: string; message?: string };
      log.error({ problem, reason }, 'install tokens were not swept');
    }
  };
  const timer = setInterval(() => {
    sweeping = sweeping.then(sweep);
  }, every).unref();
  return async () => {
    clearInterval(timer);
    await sweeping;
  };
}

import { isSettling } from '../presence/absence.ts';

/** Where PHP ran when it took the fingerprint. A web server may let it see less of the machine than a shell does. */
export type Surroundings = 'web' | 'command';

/** The fingerprints of the machine a client was enrolled on: 64 hex digits, `none` where none was sent, `null` not seen yet. */
export interface KnownFingerprints {
  readonly web: string | null;
  readonly command: string | null;
}

/** Says for a reason where the fingerprint that came with it was taken. */
export function surroundingsOf(reason: string): Surroundings {
  return reason === 'cold' || reason === 'expired' ? 'web' : 'command';
}

/**
 * `known`: it is one of the enrolled ones. `first`: nothing to compare it with, it becomes the enrolled one. `differs`: another
 * machine, or this one changed. `missing`: a client that used to send one sends none.
 */
export type Likeness = 'known' | 'first' | 'differs' | 'missing';

/**
 * Compares a fingerprint (`null`: none was sent) with the enrolled ones. The first that is released to is the enrolled one, once
 * for the web server and once for commands: the second of the two has to come while the client is being set up, or be
 * the same. A client that never sent one may begin to; one that sent one may not stop.
 */
export function likenessOf(
  shown: string | null,
  reason: string,
  known: KnownFingerprints,
  settledAt: number | null,
  now: number,
): Likeness {
  const here = surroundingsOf(reason);
  const mine = known[here];
  const other = here === 'web' ? known.command : known.web;
  if (mine !== null && mine === (shown ?? 'none')) return 'known';
  if (shown !== null && shown === other) return 'known';
  const neverSent = (mine ?? 'none') === 'none' && (other ?? 'none') === 'none';
  if (neverSent || (mine === null && isSettling(settledAt, now))) return 'first';
  return shown === null ? 'missing' : 'differs';
}

/** The fingerprints after a release to this one: it is now the enrolled one of its surroundings. */
export function enrolledWith(shown: string | null, reason: string, known: KnownFingerprints): KnownFingerprints {
  return { ...known, [surroundingsOf(reason)]: shown ?? 'none' };
}

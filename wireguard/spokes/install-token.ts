import type { RandomBytes } from '../../platform/clock.ts';
import { decodeBase64Url, encodeBase64Url, sha256 } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { PLATFORMS, type Platform, type TokenEnd } from '../store/schema.ts';

/** 256 bits: not to be guessed, however many are out. */
const TOKEN_BYTES = 32;

/** How long after its script was fetched a spoke may register. */
export const REGISTRATION_MS = 30 * 60_000;
/** How long after that its installer may take it back, or invite the rest of its cluster. */
export const AFTERWARDS_MS = 60 * 60_000;

/** What the scripts of a token are made out to. */
export interface HubAddress {
  /** No slash at its end. */
  readonly url: string;
  /** What curl takes for `--pinnedpubkey`; `null` where the certificate is one that everybody can check. */
  readonly pin: string | null;
  readonly hubName: string;
}

/** A token as everybody may see it who looks after spokes. Times are milliseconds since 1970. */
export interface InstallToken {
  readonly id: string;
  readonly interface: string;
  readonly spokeId: string;
  readonly spokeName: string;
  readonly platform: Platform | null;
  readonly place: number;
  /** Each with its full length. */
  readonly addresses: readonly string[];
  readonly hub: HubAddress;
  /** SHA-256 (hex) of the scripts as they were shown. */
  readonly scripts: Readonly<Partial<Record<Platform, string>>>;
  /** How many nodes of its cluster may be invited with it. */
  readonly members: number;
  readonly createdBy: string;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly fetchedAt: number | null;
  readonly fetchedFrom: string | null;
  readonly fetchedAgent: string | null;
  readonly fetchedPlatform: Platform | null;
  readonly registeredAt: number | null;
  readonly registeredFrom: string | null;
  readonly invitedAt: number | null;
  readonly endedAt: number | null;
  readonly end: TokenEnd | null;
}

export const TOKEN_STATES = ['unused', 'used', 'expired', 'revoked'] as const;
/** `used`: its script was given out, whether a spoke came of it or not. */
export type TokenState = (typeof TOKEN_STATES)[number];

/** A new token's text, 43 characters, and the hash that is stored of it. */
export function newTokenText(random: RandomBytes): { readonly text: string; readonly hash: Buffer } {
  const bytes = random(TOKEN_BYTES);
  return { text: encodeBase64Url(bytes), hash: sha256(bytes) };
}

/** The hash of a token's text. Throws `invalid_token` (400) for what cannot be one. */
export function installTokenHash(text: string): Buffer {
  const bytes = decodeBase64Url(text, TOKEN_BYTES);
  if (bytes !== null) return sha256(bytes);
  throw new LatchkeyError('invalid_token', '"token" must be the 43 characters of an install token', {
    status: 400,
    field: 'token',
    hint: 'copy the whole command again',
  });
}

/** Throws `invalid_platform` (400) for a text that names none. */
export function parsePlatform(text: string): Platform {
  const found = PLATFORMS.find((platform) => platform === text);
  if (found !== undefined) return found;
  throw invalidPlatform(`must be one of ${PLATFORMS.join(', ')}`);
}

/** Pure: what has become of a token by now. */
export function tokenState({ end, expiresAt, fetchedAt }: InstallToken, now: number): TokenState {
  if (end === 'revoked') return 'revoked';
  if (fetchedAt !== null) return 'used';
  return end === 'expired' || expiresAt <= now ? 'expired' : 'unused';
}

/**
 * Pure: the platform whose script a token gives now. Throws `token_not_found` (404) for one that is unknown or revoked, which are
 * not told apart; `token_already_used` and `token_expired` (410), `invalid_platform` (400).
 */
export function fetchablePlatform(token: InstallToken | null, wished: Platform | null, now: number): Platform {
  if (token === null) throw tokenNotFound();
  const state = tokenState(token, now);
  if (state === 'revoked') throw tokenNotFound(REVOKED);
  if (state === 'used') throw alreadyUsed('its script was fetched already');
  if (state === 'expired') throw expired('its time is over');
  const { platform } = token;
  if (platform !== null && wished !== null && wished !== platform) {
    throw invalidPlatform(`must be ${platform}: the token was made for it`);
  }
  const chosen = platform ?? wished;
  if (chosen === null) throw invalidPlatform(`must be given: one of ${PLATFORMS.join(', ')}`);
  return chosen;
}

/**
 * Pure: throws unless a spoke may register with this token now. `token_not_found` (404) for one that is unknown, revoked, or whose
 * script nobody has fetched; `token_already_used` and `token_expired` (410).
 */
export function assertRegistrable(token: InstallToken | null, now: number): asserts token is InstallToken {
  if (token?.end === 'revoked') throw tokenNotFound(REVOKED);
  if (token === null || (token.fetchedAt === null && token.end === null)) throw tokenNotFound();
  if (token.end === 'registered') throw alreadyUsed('a spoke registered with it already');
  const late = token.fetchedAt === null || now >= token.fetchedAt + REGISTRATION_MS;
  if (token.end === 'expired' || late) throw expired('a spoke has to register within 30 minutes of the download');
}

/** Pure: throws unless the installer that registered with this token may still speak for its spoke: `token_not_found`, `token_expired`. */
export function assertOwner(token: InstallToken | null, now: number): asserts token is InstallToken {
  if (token === null || token.end !== 'registered' || token.registeredAt === null) throw tokenNotFound();
  if (now >= token.registeredAt + AFTERWARDS_MS) throw expired('an hour has passed since its spoke registered');
}

/** Why there is no such token, for the audit log: nobody guesses one that was revoked, somebody has it. */
export const REVOKED = { was: 'revoked' } as const;

/** The one answer to tokens that are not there, whatever the reason. */
export function tokenNotFound(cause?: typeof REVOKED): LatchkeyError {
  return new LatchkeyError('token_not_found', 'there is no such install token', {
    status: 404,
    hint: 'have a new token made; on the hub: wghub spoke invite',
    cause,
  });
}

export function alreadyUsed(why: string): LatchkeyError {
  return new LatchkeyError('token_already_used', `the install token is used: ${why}`, {
    status: 410,
    hint: 'each token is good once; have a new one made',
  });
}

function expired(why: string): LatchkeyError {
  return new LatchkeyError('token_expired', `the install token is no longer good: ${why}`, {
    status: 410,
    hint: 'have a new token made',
  });
}

export function invalidPlatform(words: string): LatchkeyError {
  return new LatchkeyError('invalid_platform', `"platform" ${words}`, { status: 400, field: 'platform' });
}

import type { KeyObject } from 'node:crypto';
import { decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from 'jose';
import { accessName } from './access-name.ts';

/** A key whose JWTs are believed. What it signs with is a matter of the key, and never of what a token says. */
export interface JwtKey {
  readonly name: string;
  readonly algorithm: 'EdDSA' | 'HS256';
  readonly key: KeyObject;
}

/** A token that lives longer is one that somebody forgot; seconds. */
const longestLife = 86_400;
/** So far clocks may differ when a token says from when on it is good; seconds. Its end is taken as it stands. */
const skew = 60;

/** Whom a good token is about. */
export interface JwtSubject {
  readonly key: string;
  readonly subject: string;
}

/**
 * Reads a JWT (RFC 7519, and RFC 8725 for what to beware of): signed by the key that its `kid` names (without one: by the only key there
 * is), made out to `audience`, with a subject, and with an end that is not reached and at most a day away. `null` for anything else.
 */
export async function readJwt(
  text: string,
  findKey: (kid: string | null) => Promise<JwtKey | null>,
  audience: string,
  now: number,
): Promise<JwtSubject | null> {
  const kid = kidOf(text);
  const found = kid === undefined ? null : await findKey(kid);
  if (found === null) return null;
  try {
    const { payload } = await jwtVerify(text, found.key, {
      algorithms: [found.algorithm],
      audience,
      requiredClaims: ['exp', 'sub'],
      clockTolerance: skew,
      currentDate: new Date(now),
    });
    return claimsHold(payload, now / 1000) ? { key: found.name, subject: payload.sub ?? '' } : null;
  } catch (error) {
    if (error instanceof errors.JOSEError) return null;
    throw error;
  }
}

/** `null` for a header without one, `undefined` for what has no header, or a `kid` that is none. */
function kidOf(text: string): string | null | undefined {
  try {
    const { kid = null } = decodeProtectedHeader(text);
    return kid === null || accessName.safeParse(kid).success ? kid : undefined;
  } catch {
    return undefined;
  }
}

/** What is asked of claims besides what a verifier looks at. Times are seconds. */
function claimsHold({ exp, iat, sub }: JWTPayload, now: number): boolean {
  if (exp === undefined || exp <= now || exp - now > longestLife) return false;
  if (iat !== undefined && (!Number.isFinite(iat) || iat > now + skew || iat >= exp)) return false;
  return typeof sub === 'string' && /^\P{C}{1,128}$/u.test(sub);
}

import { generateSync, ScureBase32Plugin } from 'otplib';
import { constantTimeEqual } from './encoding.ts';

/** RFC 6238 with SHA-1, 6 digits and steps of 30 s. */
const stepMillis = 30_000;
const digits = 6;

/** Clocks that differ by no more always agree on a code, as one step either way is taken. */
export const totpReach: number = stepMillis;

export function totpStep(now: number): number {
  return Math.floor(now / stepMillis);
}

/** The code of one step: a TOTP code is the HOTP code whose counter is the step (RFC 6238, section 4.2). */
export function totpCode(secret: Uint8Array, step: number): string {
  return generateSync({ strategy: 'hotp', secret, counter: step, digits, algorithm: 'sha1' });
}

const base32 = new ScureBase32Plugin();

/** The form in which a secret travels: base32 without padding (RFC 4648, section 6). */
export function totpSecretText(secret: Uint8Array): string {
  return base32.encode(secret, { padding: false });
}

/** The bytes of a secret's text; throws for anything that is no base32. */
export function totpSecretBytes(text: string): Buffer {
  return Buffer.from(base32.decode(text));
}

/**
 * The step whose code this is, within one step of skew and later than `after`; `null` when there is none. All three
 * codes are compared whatever the first says.
 */
export function findTotpStep(codes: readonly TotpCode[], given: string, after: number): number | null {
  let found: number | null = null;
  const text = Buffer.from(given);
  for (const { step, code } of codes) {
    if (constantTimeEqual(code, text) && step > after && found === null) found = step;
  }
  return found;
}

export interface TotpCode {
  readonly step: number;
  readonly code: Buffer;
}

/** The codes that are good at `now`: one step back, this one, one ahead. */
export function totpCodes(secret: Uint8Array, now: number): readonly TotpCode[] {
  const step = totpStep(now);
  return [step - 1, step, step + 1]
    .filter((n) => n >= 0)
    .map((n) => ({ step: n, code: Buffer.from(totpCode(secret, n)) }));
}

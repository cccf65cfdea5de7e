import { createHmac } from 'node:crypto';
import { constantTimeEqual } from '../platform/encoding.ts';

/** RFC 6238 with SHA-1, 6 digits and steps of 30 s. */
const stepMillis = 30_000;
const digits = 6;

export function totpStep(now: number): number {
  return Math.floor(now / stepMillis);
}

/** The code of one step (RFC 4226, section 5.3). */
export function totpCode(secret: Uint8Array, step: number): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const mac = createHmac('sha1', secret).update(counter).digest();
  const offset = mac.readUInt8(19) & 0xf;
  const value = mac.readUInt32BE(offset) & 0x7fff_ffff;
  return String(value % 10 ** digits).padStart(digits, '0');
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

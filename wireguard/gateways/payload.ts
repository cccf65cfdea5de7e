import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';
import type { RandomBytes } from '../../platform/clock.ts';
import { decodeBase64 } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';

const IV_BYTES = 12;
const TAG_BYTES = 16;
const MAX_BYTES = 1024 * 1024;
const VERSION = '1';

/** Which way a payload goes: one key for each, so that an answer can never be played as a request. */
export type Direction = 'request' | 'response';

/** What a payload is bound to: it opens for this call and no other. */
export interface PayloadCall {
  readonly direction: Direction;
  /** Upper case. */
  readonly method: string;
  /** With its query, as it is signed. */
  readonly path: string;
  /** `X-Nonce` of the request, of its answer too: no answer can stand in for another. */
  readonly nonce: string;
  /** Of an answer; `null` in a request. */
  readonly status: number | null;
}

/** AES-256-GCM (NIST SP 800-38D) with the key by HKDF-SHA-256 (RFC 5869): base64 of IV ‖ ciphertext ‖ tag. */
export function sealPayload(secret: Uint8Array, call: PayloadCall, plaintext: Uint8Array, random: RandomBytes): string {
  const iv = random(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', payloadKey(secret, call.direction), iv, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.from(payloadLabel(call)));
  return Buffer.concat([iv, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]).toString('base64');
}

/** What `sealPayload` sealed for the same call. Throws `payload_unreadable` (400) for anything else. */
export function openPayload(secret: Uint8Array, call: PayloadCall, text: string): Buffer {
  const box = decodeBase64(text, { max: MAX_BYTES });
  if (box !== null && box.length >= IV_BYTES + TAG_BYTES) {
    const decipher = createDecipheriv('aes-256-gcm', payloadKey(secret, call.direction), box.subarray(0, IV_BYTES), {
      authTagLength: TAG_BYTES,
    });
    decipher.setAAD(Buffer.from(payloadLabel(call))).setAuthTag(box.subarray(box.length - TAG_BYTES));
    try {
      return Buffer.concat([decipher.update(box.subarray(IV_BYTES, box.length - TAG_BYTES)), decipher.final()]);
    } catch {
      // told below, like every other payload that is not one
    }
  }
  throw new LatchkeyError('payload_unreadable', '"payload" does not open', { status: 400, field: 'payload' });
}

/** The key of a direction: no salt, 32 bytes. */
export function payloadKey(secret: Uint8Array, direction: Direction): Buffer {
  return Buffer.from(
    hkdfSync('sha256', secret, Buffer.alloc(0), `latchkey gateway payload ${VERSION}|${direction}`, 32),
  );
}

/** What is bound to the ciphertext, one part a line; none can hold a line's end. */
export function payloadLabel({ direction, method, path, nonce, status }: PayloadCall): string {
  const parts = [VERSION, direction, method, path, nonce, ...(status === null ? [] : [String(status)])];
  for (const part of parts) if (/[\r\n]/.test(part)) throw new TypeError('a part of a call holds the end of a line');
  return parts.join('\n');
}

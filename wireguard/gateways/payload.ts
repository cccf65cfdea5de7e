import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';
import type { RandomBytes } from '../../platform/clock.ts';
import { decodeBase64 } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const MAX_BYTES = 1024 * 1024;
const VERSION = '1';

/** Which way a payload goes: one key for each, so that an answer can never be played as a request. */
export type Direction = 'request' | 'response';

/** What a payload is bound to: it opens for this call and no other. */
export interface PayloadCall {
  readonly direction: Direction;
  readonly method: string;
  readonly path: string;
}

/** AES-256-GCM with the key by HKDF-SHA-256 (RFC 5869): base64 of nonce ‖ ciphertext ‖ tag. */
export function sealPayload(secret: Uint8Array, call: PayloadCall, plaintext: Uint8Array, random: RandomBytes): string {
  const nonce = random(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', keyFor(secret, call.direction), nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(labelOf(call));
  return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]).toString('base64');
}

/** What `sealPayload` sealed for the same call. Throws `payload_unreadable` (400) for anything else. */
export function openPayload(secret: Uint8Array, call: PayloadCall, text: string): Buffer {
  const box = decodeBase64(text, { max: MAX_BYTES });
  if (box !== null && box.length >= NONCE_BYTES + TAG_BYTES) {
    const decipher = createDecipheriv('aes-256-gcm', keyFor(secret, call.direction), box.subarray(0, NONCE_BYTES), {
      authTagLength: TAG_BYTES,
    });
    decipher.setAAD(labelOf(call)).setAuthTag(box.subarray(box.length - TAG_BYTES));
    try {
      return Buffer.concat([decipher.update(box.subarray(NONCE_BYTES, box.length - TAG_BYTES)), decipher.final()]);
    } catch {
      // told below, like every other payload that is not one
    }
  }
  throw new LatchkeyError('payload_unreadable', '"payload" does not open', { status: 400, field: 'payload' });
}

function keyFor(secret: Uint8Array, direction: Direction): Buffer {
  return Buffer.from(
    hkdfSync('sha256', secret, Buffer.alloc(0), `latchkey gateway payload ${VERSION}|${direction}`, 32),
  );
}

function labelOf({ direction, method, path }: PayloadCall): Buffer {
  return Buffer.from(`${VERSION}\n${direction}\n${method}\n${path}`);
}

import { createHmac, type KeyObject } from 'node:crypto';
import { constantTimeEqual, sha256 } from '../../platform/encoding.ts';

/** The parts of a request that a gateway signs. */
export interface SignedParts {
  /** Upper case. */
  readonly method: string;
  /** With its query, as on the request line. */
  readonly path: string;
  /** Seconds since 1970, in decimal, as in `X-Timestamp`. */
  readonly timestamp: string;
  /** As in `X-Nonce`. */
  readonly nonce: string;
  /** The bytes that were sent, before anything was made of them; empty without a body. */
  readonly body: Uint8Array;
}

/**
 * What the HMAC is over: the parts one a line, the body by its SHA-256 in hex. No part can hold a line's end, so that no
 * two requests have one text.
 */
export function signedText({ method, path, timestamp, nonce, body }: SignedParts): string {
  for (const part of [method, path, timestamp, nonce]) {
    if (/[\r\n]/.test(part)) throw new TypeError('a signed part holds the end of a line');
  }
  return ['latchkey-gateway-1', method, path, timestamp, nonce, sha256(body).toString('hex')].join('\n');
}

/** `X-Signature`: HMAC-SHA-256 (RFC 2104) in hex. */
export function signatureOf(secret: Uint8Array | KeyObject, parts: SignedParts): string {
  return createHmac('sha256', secret).update(signedText(parts)).digest('hex');
}

/** In constant time; anything but 64 lower-case hex digits is wrong. */
export function isSignature(secret: Uint8Array | KeyObject, parts: SignedParts, given: string): boolean {
  if (!SIGNATURE.test(given)) return false;
  return constantTimeEqual(Buffer.from(signatureOf(secret, parts), 'hex'), Buffer.from(given, 'hex'));
}

/** How far a gateway's clock may be off, in seconds, either way. */
export const WINDOW_SECONDS = 300;
/** What the headers have to look like. */
export const TIMESTAMP = /^[1-9][0-9]{0,11}$/;
export const NONCE = /^[A-Za-z0-9_-]{16,64}$/;
export const SIGNATURE = /^[0-9a-f]{64}$/;

/** True for a time within the window around `now` (milliseconds). */
export function isTimely(timestamp: string, now: number): boolean {
  if (!TIMESTAMP.test(timestamp)) return false;
  return Math.abs(now - Number(timestamp) * 1000) <= WINDOW_SECONDS * 1000;
}

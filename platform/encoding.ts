import { hash, timingSafeEqual } from 'node:crypto';
import { LatchkeyError } from './errors.ts';

/**
 * Canonical encodings only: what decodes here encodes back to the very same text, so that one value has one spelling
 * (RFC 4648, section 3.5). `null` means "not that", never "nearly that".
 */
export function decodeBase64Url(text: string, bytes?: number): Buffer | null {
  if (!/^[A-Za-z0-9_-]*$/.test(text)) return null;
  const decoded = Buffer.from(text, 'base64url');
  if (decoded.toString('base64url') !== text) return null;
  return bytes === undefined || decoded.length === bytes ? decoded : null;
}

export function encodeBase64Url(data: Uint8Array): string {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64url');
}

/** Padded base64 of at most `max` bytes; `null` when it is not canonical or larger. */
export function decodeBase64(text: string, limit: { readonly max: number }): Buffer | null {
  if (text.length > Math.ceil(limit.max / 3) * 4) return null;
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return null;
  const decoded = Buffer.from(text, 'base64');
  return decoded.length <= limit.max && decoded.toString('base64') === text ? decoded : null;
}

/** SHA-256 over the parts, one after the other. */
export function sha256(...parts: readonly (Uint8Array | string)[]): Buffer {
  return hash('sha256', joined(parts), 'buffer');
}

/** The same as 64 hex digits, which Node makes in half the time of a buffer. */
export function sha256Hex(...parts: readonly (Uint8Array | string)[]): string {
  return hash('sha256', joined(parts), 'hex');
}

function joined(parts: readonly (Uint8Array | string)[]): Uint8Array | string {
  const [first = ''] = parts;
  if (parts.length < 2) return first;
  return Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
}

/** Compares without telling by its time where two values differ; unequal lengths are unequal, and their length is no secret here. */
export function constantTimeEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** A whole number written in plain decimal, within bounds; anything else is refused with the field named. */
export function parseInteger(
  text: string,
  field: string,
  bounds: { readonly min: number; readonly max: number },
): number {
  const value = /^-?(0|[1-9][0-9]{0,15})$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(value) && value >= bounds.min && value <= bounds.max) return value;
  throw new LatchkeyError('invalid_request', `"${field}" must be an integer from ${bounds.min} to ${bounds.max}`, {
    status: 400,
    exit: 2,
    field,
  });
}

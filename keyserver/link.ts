import * as z from 'zod';
import type { RandomBytes } from '../platform/clock.ts';
import { decodeBase64Url, sha256, sha256Hex } from '../platform/encoding.ts';

/**
 * A link: 32 bytes that open one release, the time they were made (6 bytes, milliseconds since 1970, big-endian) and 26
 * random ones. The server keeps their digest, and names the link by its id wherever a person or the audit log has to
 * speak of it.
 */
export interface Link {
  /** First 16 hex digits of SHA-256("id" ‖ bytes). */
  readonly id: string;
  /** SHA-256 of the bytes. */
  readonly hash: Buffer;
  /**
   * The first twelve bytes, under which it is filed. As they begin with the time, a new link goes behind all others: random
   * places would have every release write a page of its own. Twenty random bytes stay unknown to the store.
   */
  readonly place: Buffer;
}

export const linkBytes = 32;
const timeBytes = 6;
const placeBytes = 12;
const idLabel = Buffer.from('id');

/** The bytes of a new link. */
export function newLink(now: number, random: RandomBytes): Buffer {
  const bytes = Buffer.alloc(linkBytes);
  bytes.writeUIntBE(now, 0, timeBytes);
  random(linkBytes - timeBytes).copy(bytes, timeBytes);
  return bytes;
}

/** The link those 32 bytes are. */
export function linkFromBytes(bytes: Buffer): Link {
  return {
    id: sha256Hex(idLabel, bytes).slice(0, 16),
    hash: sha256(bytes),
    place: bytes.subarray(0, placeBytes),
  };
}

/** A link as it travels: 43 characters, base64url without padding. */
export const linkText = z.string().transform((text, context): Buffer => {
  const bytes = text.length === 43 ? decodeBase64Url(text, linkBytes) : null;
  if (bytes !== null) return bytes;
  context.addIssue({ code: 'custom', message: 'must be 43 characters of base64url' });
  return z.NEVER;
});

export const linkId = z.string().regex(/^[0-9a-f]{16}$/, 'must be 16 hex digits');

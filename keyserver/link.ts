import * as z from 'zod';
import { decodeBase64Url, sha256 } from '../platform/encoding.ts';

/**
 * A link: 32 random bytes that open one release. The server keeps its digest only, and names it by its id wherever a
 * person or the audit log has to speak of it.
 */
export interface Link {
  /** First 16 hex digits of SHA-256("id" ‖ bytes). */
  readonly id: string;
  /** SHA-256 of the bytes. */
  readonly hash: Buffer;
}

export const linkBytes = 32;

/** The link those 32 bytes are. */
export function linkFromBytes(bytes: Uint8Array): Link {
  return { id: sha256('id', bytes).toString('hex', 0, 8), hash: sha256(bytes) };
}

/** A link as it travels: 43 characters, base64url without padding. */
export const linkText = z.string().transform((text, context): Buffer => {
  const bytes = text.length === 43 ? decodeBase64Url(text, linkBytes) : null;
  if (bytes !== null) return bytes;
  context.addIssue({ code: 'custom', message: 'must be 43 characters of base64url' });
  return z.NEVER;
});

export const linkId = z.string().regex(/^[0-9a-f]{16}$/, 'must be 16 hex digits');

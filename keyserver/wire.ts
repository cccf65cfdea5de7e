import * as z from 'zod';
import { decodeBase64, decodeBase64Url } from '../platform/encoding.ts';
import { linkId, linkText } from './link.ts';

/** The bodies and headers of every call, as PROTOCOL.md has them. Unknown members are refused; nothing is tidied. */

const bytes43 = (what: string) =>
  z.string().transform((text, context): Buffer => {
    const bytes = text.length === 43 ? decodeBase64Url(text, 32) : null;
    if (bytes !== null) return bytes;
    context.addIssue({ code: 'custom', message: `must be ${what}: 43 characters of base64url` });
    return z.NEVER;
  });

const lowerHex64 = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits');

const uuid = z
  .string()
  .regex(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/, 'must be a lower-case uuid');

/** Milliseconds since 1970. */
const millis = z.int().min(0);

/** The id of a stored key; it reaches no file name, and still has to look like none that climbs. */
export const keyId = z
  .string()
  .regex(/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/, 'must be 1 to 128 of A-Z a-z 0-9 . _ - and not start with a dot');

const reason = z
  .string()
  .regex(
    /^(cold|expired|verify|restore|cli:[A-Za-z0-9][A-Za-z0-9:._-]{0,63})$/,
    'must be cold, expired, verify, restore or cli:<command>',
  );

/** One escrow of a host without master key moves a key per user and more than this few times only. */
const keysPerRelease = 256;

export const openBody = z.strictObject({
  link: linkText,
  time: millis,
  fingerprint: lowerHex64.nullable(),
  bootId: uuid.nullable(),
  reason,
  seen: z.strictObject({ seq: z.int().min(0), head: lowerHex64 }).nullable(),
});
export type OpenBody = z.infer<typeof openBody>;

export const releaseBody = z.strictObject({
  session: z.string().regex(/^[A-Za-z0-9_-]{43}$/, 'must be a session: 43 characters of base64url'),
  link: linkText,
  time: millis,
  keys: z
    .array(keyId)
    .min(1)
    .max(keysPerRelease)
    .refine((ids) => new Set(ids).size === ids.length, 'must not name a key twice'),
});
export type ReleaseBody = z.infer<typeof releaseBody>;

/** What a host's watch has to tell its owner; see `calls/client-notice.ts`. */
export const noticeCodes = ['reapplied', 'reapply_failed', 'core_hook_gone', 'app_gone'] as const;

/** What a date can tell (ECMA-262). */
const latestDate = 8_640_000_000_000_000;

const versionText = z
  .string()
  .regex(/^[0-9A-Za-z][0-9A-Za-z.+-]{0,31}$/, 'must be a version: 1 to 32 of 0-9 A-Z a-z . + -');

const clientNotice = z.strictObject({
  code: z.enum(noticeCodes),
  at: millis.max(latestDate, 'must be a time'),
  from: versionText.optional(),
  to: versionText.optional(),
});
export type ClientNotice = z.infer<typeof clientNotice>;

export const heartbeatBody = z.strictObject({
  linkId,
  time: millis,
  bootId: uuid,
  uptime: z.number().min(0).max(1e10),
  notice: clientNotice.optional(),
  proof: lowerHex64,
});
export type HeartbeatBody = z.infer<typeof heartbeatBody>;

/** A stored key is a few KiB; this leaves room and keeps its base64 within the 1 MiB body. */
export const keyBytesLimit = 512 * 1024;

export const storeBody = z.strictObject({
  key: z.string().transform((text, context): Buffer => {
    const bytes = decodeBase64(text, { max: keyBytesLimit });
    if (bytes !== null && bytes.length > 0) return bytes;
    context.addIssue({ code: 'custom', message: `must be canonical base64 of 1 to ${keyBytesLimit} bytes` });
    return z.NEVER;
  }),
  grant: bytes43('a grant'),
});
export type StoreBody = z.infer<typeof storeBody>;

export const tokenText = bytes43('a token');

export const totpText = z.string().regex(/^[0-9]{6}$/, 'must be 6 digits');

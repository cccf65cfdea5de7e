import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import * as z from 'zod';
import { decodeBase64Url, encodeBase64Url } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { createSecretFile, writeFileAtomic } from '../../platform/files.ts';
import type { Baseline } from './baseline.ts';
import type { FindingKind, SeenApp } from './verdict.ts';

const FORMAT = 'latchkey-audit-baseline';
const VERSION = 1;
/** Ten large apps without a list come to 5 MB. */
const MAX_BYTES = 128 * 1024 * 1024;

const text = z.string().max(8192);
const app = z.strictObject({ version: text.nullable(), signer: text.nullable() });
const bodySchema = z.strictObject({
  instance: text.nullable(),
  root: text,
  madeAt: z.iso.datetime(),
  core: text.nullable(),
  apps: z.record(text, app),
  open: z.record(text, z.record(text, text)),
  revocations: z.string().max(2_000_000).nullable(),
  accepted: z.array(
    z.strictObject({ kind: z.string().max(64), path: text, mark: text, reason: text, at: z.iso.datetime() }),
  ),
});
const fileSchema = z.strictObject({
  format: z.literal(FORMAT),
  version: z.literal(VERSION),
  /** Raw Ed25519, base64url. */
  key: z.string().length(43),
  /** Ed25519 over `signedBytes`, base64url. */
  signature: z.string().length(86),
  baseline: bodySchema,
});

function refuse(code: string, message: string, hint: string, cause?: unknown): LatchkeyError {
  return new LatchkeyError(code, message, { exit: 3, hint, cause });
}

/** The text of a signed baseline. One baseline has one text: names sorted, one line for each value. */
export function sealBaseline(baseline: Baseline, key: KeyObject): string {
  const body = bodyOf(baseline);
  const signature = encodeBase64Url(sign(null, signedBytes(body), key));
  const file = { format: FORMAT, version: VERSION, key: publicPart(key), signature, baseline: body };
  return `${JSON.stringify(file, null, 1)}\n`;
}

/**
 * Reads the text of a baseline, and answers it only when this very key signed it: `baseline_unreadable`, `baseline_foreign`,
 * `baseline_tampered` (exit 3 each).
 */
export function openBaseline(content: string, key: KeyObject, name: string): Baseline {
  const made = 'look at everything anew, and make a new baseline in another file: --new-baseline';
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch (cause) {
    throw refuse('baseline_unreadable', `${name} is not a baseline`, made, cause);
  }
  const about = z.object({ format: z.literal(FORMAT), version: z.number() }).safeParse(value);
  if (about.success && about.data.version !== VERSION) {
    const hint = 'use the ncpatch that made it, or a newer one';
    throw refuse(
      'baseline_unreadable',
      `${name} has version ${about.data.version} of the format, not ${VERSION}`,
      hint,
    );
  }
  const parsed = fileSchema.safeParse(value, { reportInput: false });
  if (!parsed.success) throw refuse('baseline_unreadable', `${name} does not have the form of a signed baseline`, made);
  const { key: signer, signature, baseline } = parsed.data;
  if (signer !== publicPart(key)) {
    const hint = 'name the key that signed it: --baseline-key FILE';
    throw refuse('baseline_foreign', `${name} was signed with another key`, hint);
  }
  const bytes = decodeBase64Url(signature, 64);
  const read = baselineOf(baseline);
  const isWhole = bytes !== null && verify(null, signedBytes(bodyOf(read)), createPublicKey(key), bytes);
  // only the one spelling that was signed: nothing in the file may be anything but that
  if (!isWhole || sealBaseline(read, key) !== content) {
    throw refuse('baseline_tampered', `${name} was changed after it was signed`, made);
  }
  return read;
}

type Body = z.infer<typeof bodySchema>;

function sorted<T>(entries: Iterable<readonly [string, T]>): Record<string, T> {
  return Object.fromEntries([...entries].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function bodyOf(baseline: Baseline): Body {
  const { server, madeAt, core, apps, open, revocations, accepted } = baseline;
  const appOf = ({ version, signer }: SeenApp): SeenApp => ({ version, signer });
  return {
    instance: server.instance,
    root: server.root,
    madeAt,
    core,
    apps: sorted([...apps].map(([path, seen]) => [path, appOf(seen)] as const)),
    open: sorted([...open].map(([part, files]) => [part, sorted(files)] as const)),
    revocations,
    accepted: accepted.map(({ kind, path, mark, reason, at }) => ({ kind, path, mark, reason, at })),
  };
}

function baselineOf({ instance, root, madeAt, core, apps, open, revocations, accepted }: Body): Baseline {
  return {
    server: { instance, root },
    madeAt,
    core,
    apps: new Map(Object.entries(apps)),
    open: new Map(Object.entries(open).map(([part, files]) => [part, new Map(Object.entries(files))])),
    revocations,
    accepted: accepted.map((one) => ({ ...one, kind: one.kind as FindingKind })),
  };
}

function signedBytes(body: Body): Buffer {
  return Buffer.from(`${FORMAT} ${VERSION}\n${JSON.stringify(body)}`);
}

function publicPart(key: KeyObject): string {
  return createPublicKey(key).export({ format: 'jwk' }).x ?? '';
}

/** Reads a baseline's file; `baseline_missing` (exit 3) when there is none. */
export function readBaseline(path: string, key: KeyObject): Baseline {
  let content: Buffer;
  try {
    content = readFileSync(resolve(path));
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown';
    if (code !== 'ENOENT') throw new LatchkeyError('file_not_read', `${path} could not be read (${code})`, { cause });
    throw refuse(
      'baseline_missing',
      `there is no baseline in ${path}`,
      'make the first one with --new-baseline',
      cause,
    );
  }
  if (content.length > MAX_BYTES) throw new LatchkeyError('file_not_read', `${path} is too large for a baseline`);
  return openBaseline(content.toString('utf8'), key, path);
}

/** Writes a baseline, over an older one or as a file that must be new. */
export function writeBaseline(path: string, baseline: Baseline, key: KeyObject, how: 'new' | 'over'): void {
  const content = sealBaseline(baseline, key);
  if (how === 'new') createSecretFile(resolve(path), content);
  else writeFileAtomic(resolve(path), content, { mode: 0o600 });
}

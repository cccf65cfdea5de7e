import { createHash } from 'node:crypto';
import { closeSync, createReadStream, fsyncSync, openSync, statSync, writeSync } from 'node:fs';
import { basename, join } from 'node:path';
import * as z from 'zod';
import { LatchkeyError } from '../errors.ts';
import { parseInput } from '../schema.ts';
import { type ArchiveKind, damaged } from './archive-kind.ts';
import { Bytes } from './bytes.ts';
import type { Envelope, Opener } from './envelope.ts';

const manifestLimit = 65_536;

/** A plain name: what is unpacked stays in its folder. */
const fileName = z.string().regex(/^[A-Za-z][A-Za-z0-9._-]{0,63}$/, 'must be a plain file name');

/** Comes first in the sealed part, with the subject by the name its kind gives it; the files' bytes follow it in its order, one behind the other. */
const manifestSchema = z.strictObject({
  version: z.literal(1),
  /** Milliseconds since 1970. */
  madeAt: z.int().min(0),
  subject: z.string().max(512),
  files: z
    .array(z.strictObject({ name: fileName, bytes: z.int().min(0), sha256: z.string().regex(/^[0-9a-f]{64}$/) }))
    .min(1)
    .max(64)
    .refine((files) => new Set(files.map(({ name }) => name)).size === files.length, 'must not name a file twice'),
});
export type Manifest = z.infer<typeof manifestSchema>;

/** The manifest of files as they are now, each by its path. */
export async function manifestOf(paths: readonly string[], subject: string, now: number): Promise<Manifest> {
  const files = [];
  for (const path of paths) {
    files.push({ name: basename(path), bytes: statSync(path).size, sha256: await digestOf(path) });
  }
  return { version: 1, madeAt: now, subject, files };
}

/** SHA-256 of a file, hex. */
export async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** Writes the archive to `file`, an open descriptor, and syncs it. */
export async function writeArchive(
  file: number,
  kind: ArchiveKind,
  envelope: Envelope,
  manifest: Manifest,
  paths: readonly string[],
): Promise<void> {
  for await (const piece of envelope.seal(kind, contents(kind, manifest, paths))) writeWhole(file, piece);
  fsyncSync(file);
}

async function* contents(
  kind: ArchiveKind,
  { version, madeAt, subject, files }: Manifest,
  paths: readonly string[],
): AsyncGenerator<Uint8Array> {
  const text = Buffer.from(JSON.stringify({ version, madeAt, [kind.subject]: subject, files }));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(text.length);
  yield Buffer.concat([length, text]);
  for (const path of paths) yield* createReadStream(path, { highWaterMark: 262_144 });
}

/**
 * Opens the archive at `path` and writes its files into `directory`, where none of them may be, 0600. Every digest is
 * compared. Throws `backup_refused`, `backup_damaged`; the caller then removes what is there.
 */
export async function unpackArchive(
  path: string,
  kind: ArchiveKind,
  opener: Opener,
  directory: string,
): Promise<Manifest> {
  const source = createReadStream(path);
  try {
    const plain = new Bytes(opener.open(kind, source));
    const manifest = await readManifest(plain, kind);
    for (const entry of manifest.files) await unpackFile(plain, entry, directory);
    if ((await plain.take(1)).length > 0) throw damaged('holds more than its manifest says');
    return manifest;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'EACCES' && code !== 'EISDIR') throw cause;
    throw new LatchkeyError('file_not_read', `${path} could not be read (${code})`, { cause });
  } finally {
    source.destroy();
  }
}

async function readManifest(plain: Bytes, kind: ArchiveKind): Promise<Manifest> {
  const length = await plain.take(4);
  if (length.length < 4 || length.readUInt32BE() > manifestLimit) throw damaged('has no manifest');
  const text = await plain.take(length.readUInt32BE());
  try {
    const { [kind.subject]: subject, ...rest } = JSON.parse(text.toString('utf8')) as Record<string, unknown>;
    return parseInput(manifestSchema, { ...rest, subject });
  } catch (cause) {
    throw damaged('has a manifest this version cannot read', cause);
  }
}

async function unpackFile(plain: Bytes, entry: Manifest['files'][number], directory: string): Promise<void> {
  const hash = createHash('sha256');
  const file = openSync(join(directory, entry.name), 'wx', 0o600);
  try {
    for (let left = entry.bytes; left > 0; ) {
      const chunk = await plain.some(left);
      if (chunk === null) throw damaged(`ends within ${entry.name}`);
      hash.update(chunk);
      writeWhole(file, chunk);
      left -= chunk.length;
    }
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  if (hash.digest('hex') !== entry.sha256) throw damaged(`holds other bytes of ${entry.name} than its manifest says`);
}

function writeWhole(file: number, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written);
}

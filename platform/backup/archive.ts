import { createHash } from 'node:crypto';
import { closeSync, createReadStream, fsyncSync, openSync, statSync, writeSync } from 'node:fs';
import { basename, join } from 'node:path';
import * as z from 'zod';
import { LatchkeyError } from '../errors.ts';
import { parseInput } from '../schema.ts';
import { type KekHeader, kekHeaderSchema, type UnsealMethod } from '../vault/unseal.ts';
import { openStream, sealStream, streamKey } from './stream.ts';

/** First in the file, in clear, on one line: what it is and how its key is obtained. */
const magic = 'latchkey backup 1 ';
const headerLimit = 4096;
const manifestLimit = 65_536;

const headerSchema = kekHeaderSchema.refine(
  ({ method }) => method === 'passphrase' || method === 'keyfile',
  'must be a passphrase or a keyfile',
);

/** A plain name: what is unpacked stays in its folder. */
const fileName = z.string().regex(/^[A-Za-z][A-Za-z0-9._-]{0,63}$/, 'must be a plain file name');

/** Comes first in the sealed part; the files' bytes follow it in its order, one behind the other. */
const manifestSchema = z.strictObject({
  version: z.literal(1),
  /** Milliseconds since 1970. */
  madeAt: z.int().min(0),
  url: z.string().max(512),
  files: z
    .array(z.strictObject({ name: fileName, bytes: z.int().min(0), sha256: z.string().regex(/^[0-9a-f]{64}$/) }))
    .min(1)
    .max(64)
    .refine((files) => new Set(files.map(({ name }) => name)).size === files.length, 'must not name a file twice'),
});
export type Manifest = z.infer<typeof manifestSchema>;

/** The manifest of files as they are now, each by its path. */
export async function manifestOf(paths: readonly string[], url: string, now: number): Promise<Manifest> {
  const files = [];
  for (const path of paths) {
    files.push({ name: basename(path), bytes: statSync(path).size, sha256: await digestOf(path) });
  }
  return { version: 1, madeAt: now, url, files };
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
  manifest: Manifest,
  paths: readonly string[],
  kek: { readonly header: KekHeader; readonly key: Uint8Array },
): Promise<void> {
  const header = Buffer.from(`${magic}${JSON.stringify(kek.header)}\n`);
  writeWhole(file, header);
  for await (const piece of sealStream(streamKey(kek.key), header, contents(manifest, paths))) writeWhole(file, piece);
  fsyncSync(file);
}

async function* contents(manifest: Manifest, paths: readonly string[]): AsyncGenerator<Uint8Array> {
  const text = Buffer.from(JSON.stringify(manifest));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(text.length);
  yield Buffer.concat([length, text]);
  for (const path of paths) yield* createReadStream(path, { highWaterMark: 262_144 });
}

/**
 * Opens the archive at `path` and writes its files into `directory`, where none of them may be, 0600. Every digest is
 * compared. Throws `backup_refused`, `backup_damaged`; the caller then removes what is there.
 */
export async function unpackArchive(path: string, method: UnsealMethod, directory: string): Promise<Manifest> {
  const source = new Bytes(createReadStream(path));
  try {
    const header = await readHeader(source);
    const key = streamKey(await method.kekOf(header.kek));
    const plain = new Bytes(openStream(key, header.line, source.rest()));
    const manifest = await readManifest(plain);
    for (const entry of manifest.files) await unpackFile(plain, entry, directory);
    if ((await plain.take(1)).length > 0) throw damaged('holds more than its manifest says');
    return manifest;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'EACCES' && code !== 'EISDIR') throw cause;
    throw new LatchkeyError('file_not_read', `${path} could not be read (${code})`, { cause });
  } finally {
    await source.close();
  }
}

async function readHeader(source: Bytes): Promise<{ readonly line: Buffer; readonly kek: KekHeader }> {
  const line = await source.takeLine(headerLimit);
  const text = line?.toString('latin1') ?? '';
  if (line === null || !text.startsWith(magic)) throw damaged('is no backup of a key server');
  try {
    return { line, kek: parseInput(headerSchema, JSON.parse(text.slice(magic.length))) };
  } catch (cause) {
    throw damaged('begins with a line this version cannot read', cause);
  }
}

async function readManifest(plain: Bytes): Promise<Manifest> {
  const length = await plain.take(4);
  if (length.length < 4 || length.readUInt32BE() > manifestLimit) throw damaged('has no manifest');
  const text = await plain.take(length.readUInt32BE());
  try {
    return parseInput(manifestSchema, JSON.parse(text.toString('utf8')));
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

function damaged(what: string, cause?: unknown): LatchkeyError {
  return new LatchkeyError('backup_damaged', `the file ${what}`, { hint: 'take another backup', cause });
}

function writeWhole(file: number, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written);
}

/** A stream of bytes, taken by number and not as they come. */
class Bytes {
  readonly #source: AsyncIterator<Uint8Array>;
  #held: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** `count` bytes, fewer only at the end. */
  async take(count: number): Promise<Buffer> {
    while (this.#held.length < count && (await this.#more()));
    return this.#cut(count);
  }

  /** 1 to `most` bytes, or `null` at the end. */
  async some(most: number): Promise<Buffer | null> {
    if (this.#held.length === 0 && !(await this.#more())) return null;
    return this.#cut(most);
  }

  /** Up to and with the first line feed; `null` when there is none within `limit`. */
  async takeLine(limit: number): Promise<Buffer | null> {
    for (;;) {
      const end = this.#held.subarray(0, limit).indexOf(10);
      if (end !== -1) return this.#cut(end + 1);
      if (this.#held.length >= limit || !(await this.#more())) return null;
    }
  }

  /** Everything after what was taken. */
  async *rest(): AsyncGenerator<Buffer> {
    for (let chunk = await this.some(262_144); chunk !== null; chunk = await this.some(262_144)) yield chunk;
  }

  async close(): Promise<void> {
    await this.#source.return?.();
  }

  /** False at the end. Pieces may be empty. */
  async #more(): Promise<boolean> {
    for (;;) {
      const next = await this.#source.next();
      if (next.done === true) return false;
      if (next.value.length === 0) continue;
      this.#held = this.#held.length === 0 ? Buffer.from(next.value) : Buffer.concat([this.#held, next.value]);
      return true;
    }
  }

  #cut(count: number): Buffer {
    const cut = this.#held.subarray(0, count);
    this.#held = this.#held.subarray(count);
    return cut;
  }
}

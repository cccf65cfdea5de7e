import { closeSync, openSync, readSync } from 'node:fs';
import type { RandomBytes } from '../clock.ts';
import { parseInput } from '../schema.ts';
import { type KekHeader, kekHeaderSchema, type UnsealMethod } from '../vault/unseal.ts';
import { type ArchiveKind, damaged, noBackupOf } from './archive-kind.ts';
import { Bytes } from './bytes.ts';
import { openStream, sealStream, streamKey } from './stream.ts';

/** How what a backup holds is had again. */
export interface Opener {
  /** The contents of a file. Throws `backup_refused`, `backup_damaged`. */
  open(kind: ArchiveKind, file: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>;
}

/** The same, and how it is closed. */
export interface Envelope extends Opener {
  seal(kind: ArchiveKind, contents: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>;
}

/** What seals a file, as it can be told without opening it. */
export type Sealing = 'secret' | 'age' | 'nothing';

const headerLimit = 4096;
/** Stands where the header of a sealed file does. */
const inClear = 'plain';
/** How every file of age begins (age-encryption.org/v1). */
const ageLine = 'age-encryption.org/v1\n';

const headerSchema = kekHeaderSchema.refine(
  ({ method }) => method === 'passphrase' || method === 'keyfile',
  'must be a passphrase or a keyfile',
);

/** Sealed under a passphrase or a key file. The first line, which tells how the key is had, is bound to every piece. */
export function secretEnvelope(method: UnsealMethod, random: RandomBytes): Envelope {
  return {
    async *seal(kind, contents) {
      const header = method.newHeader(random);
      const key = streamKey(await method.kekOf(header));
      const line = Buffer.from(`${kind.magic}${JSON.stringify(header)}\n`);
      yield line;
      yield* sealStream(key, line, contents);
    },
    ...secretOpener(method),
  };
}

/** Opens what `secretEnvelope` sealed under the same secret. */
export function secretOpener(method: UnsealMethod): Opener {
  return {
    async *open(kind, file) {
      const source = new Bytes(file);
      const line = await takeFirstLine(source, kind);
      const key = streamKey(await method.kekOf(parseHeader(line, kind)));
      yield* openStream(key, line, source.rest());
    },
  };
}

/** In clear: for what another program seals, or has opened. */
export function plainEnvelope(): Envelope {
  return {
    async *seal(kind, contents) {
      yield Buffer.from(`${kind.magic}${inClear}\n`);
      yield* contents;
    },
    async *open(kind, file) {
      const source = new Bytes(file);
      const line = await takeFirstLine(source, kind);
      if (line.toString('latin1') !== `${kind.magic}${inClear}\n`)
        throw damaged('begins with a line this version cannot read');
      yield* source.rest();
    },
  };
}

/** What seals the file at `path`. What is no backup at all, or cannot be read, is told when it is opened. */
export function sealingOf(path: string, kind: ArchiveKind): Sealing {
  const text = beginningOf(path);
  if (text.startsWith(ageLine)) return 'age';
  return text.startsWith(`${kind.magic}${inClear}\n`) ? 'nothing' : 'secret';
}

function beginningOf(path: string): string {
  const bytes = Buffer.alloc(256);
  try {
    const file = openSync(path, 'r');
    try {
      return bytes.toString('latin1', 0, readSync(file, bytes));
    } finally {
      closeSync(file);
    }
  } catch {
    return '';
  }
}

async function takeFirstLine(source: Bytes, kind: ArchiveKind): Promise<Buffer> {
  const line = await source.takeLine(headerLimit);
  if (line?.toString('latin1').startsWith(kind.magic) !== true) throw noBackupOf(kind);
  return line;
}

function parseHeader(line: Buffer, { magic }: ArchiveKind): KekHeader {
  try {
    return parseInput(headerSchema, JSON.parse(line.toString('latin1').slice(magic.length)));
  } catch (cause) {
    throw damaged('begins with a line this version cannot read', cause);
  }
}

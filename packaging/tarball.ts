import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';

/** A file of a release. */
export interface ReleaseFile {
  readonly bytes: Uint8Array;
  readonly executable: boolean;
}

/** By path, `/` between folders. */
export type ReleaseFiles = ReadonlyMap<string, ReleaseFile>;

const BLOCK = 512;

/**
 * A tar archive (POSIX.1-1988, "ustar") of these files in one folder, with gzip (RFC 1952) around it: sorted by path, owned by root,
 * of one time, so that the same files become the same bytes.
 */
export async function writeTarball(path: string, folder: string, files: ReleaseFiles, time: number): Promise<void> {
  const gzip = createGzip({ level: 6 }); // Node writes no name and no time into the header
  await pipeline(Readable.from(blocks(folder, files, time)), gzip, createWriteStream(path, { flags: 'wx' }));
}

function* blocks(folder: string, files: ReleaseFiles, time: number): Generator<Uint8Array> {
  const folders = new Set<string>();
  for (const path of [...files.keys()].sort(byCodeUnit)) {
    const whole = `${folder}/${path}`;
    for (let slash = whole.indexOf('/'); slash !== -1; slash = whole.indexOf('/', slash + 1)) {
      const parent = whole.slice(0, slash + 1);
      if (folders.has(parent)) continue;
      folders.add(parent);
      yield header(parent, { mode: 0o755, size: 0, type: '5', time });
    }
    const { bytes, executable } = files.get(path) as ReleaseFile;
    yield header(whole, { mode: executable ? 0o755 : 0o644, size: bytes.length, type: '0', time });
    yield bytes;
    yield new Uint8Array((BLOCK - (bytes.length % BLOCK)) % BLOCK);
  }
  yield new Uint8Array(2 * BLOCK);
}

/** The same on every machine, whatever its language. */
export function byCodeUnit(one: string, other: string): number {
  return one < other ? -1 : Number(one > other);
}

interface HeaderFields {
  readonly mode: number;
  readonly size: number;
  readonly type: '0' | '5';
  readonly time: number;
}

function header(path: string, { mode, size, type, time }: HeaderFields): Uint8Array {
  const block = Buffer.alloc(BLOCK);
  const { prefix, name } = split(path);
  const octal = (value: number, at: number, length: number): number =>
    block.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, 'latin1');
  block.write(name, 0, 'utf8');
  octal(mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(time, 136, 12);
  block.write('        ', 148, 'latin1');
  block.write(type, 156, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  block.write('root', 265, 'latin1');
  block.write('root', 297, 'latin1');
  octal(0, 329, 8);
  octal(0, 337, 8);
  block.write(prefix, 345, 'utf8');
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** A path has 100 bytes, and 155 more for the folders before them. */
function split(path: string): { readonly prefix: string; readonly name: string } {
  if (Buffer.byteLength(path) <= 100) return { prefix: '', name: path };
  for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1)) {
    const prefix = path.slice(0, slash);
    const name = path.slice(slash + 1);
    if (name !== '' && Buffer.byteLength(name) <= 100 && Buffer.byteLength(prefix) <= 155) return { prefix, name };
  }
  throw new TypeError(`no place in a tar header for the path ${path}`);
}

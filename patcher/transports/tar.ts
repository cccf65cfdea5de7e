import { sha256 } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { MANIFEST_NAME } from './target-scripts.ts';
import { checkRelativePath, type TreeFile } from './transport.ts';

const BLOCK = 512;

/** A ustar archive (POSIX.1-1988) of plain files and the folders above them, in the order given, all owned by 0:0. */
export function packTar(files: readonly TreeFile[], directoryMode: number): Buffer {
  const parts: Buffer[] = [];
  for (const folder of foldersOf(files)) parts.push(header(`${folder}/`, 0, directoryMode, '5'));
  for (const file of files) {
    parts.push(header(checkRelativePath(file.path), file.data.length, file.mode, '0'), file.data);
    parts.push(Buffer.alloc((BLOCK - (file.data.length % BLOCK)) % BLOCK));
  }
  parts.push(Buffer.alloc(2 * BLOCK));
  return Buffer.concat(parts);
}

/** The archive that `UPLOAD_TREE` takes: its last file lists the hashes of all others, by which it is checked there. */
export function packTree(files: readonly TreeFile[], directoryMode: number): Buffer {
  const bad = files.find((file) => /[\\\n\r]/.test(file.path) || file.path === MANIFEST_NAME);
  if (files.length === 0 || bad !== undefined) throw new TypeError('a tree needs files with ordinary names');
  const manifest = { path: MANIFEST_NAME, data: Buffer.from(hashLines(files).join('')), mode: 0o600 };
  return packTar([...files, manifest], directoryMode);
}

/** What `sha256sum` says of these files, in their order. */
export function hashLines(files: readonly TreeFile[]): string[] {
  return files.map((file) => `${sha256(file.data).toString('hex')}  ./${checkRelativePath(file.path)}\n`);
}

/** Each folder once, parents first. */
function foldersOf(files: readonly TreeFile[]): string[] {
  const folders = new Set<string>();
  for (const { path } of files) {
    const segments = path.split('/').slice(0, -1);
    segments.forEach((_, index) => {
      folders.add(segments.slice(0, index + 1).join('/'));
    });
  }
  return [...folders].sort();
}

function header(path: string, size: number, mode: number, type: '0' | '5'): Buffer {
  const { prefix, name } = splitName(path);
  const block = Buffer.alloc(BLOCK);
  block.write(name, 0);
  writeOctal(block, mode, 100, 8);
  writeOctal(block, 0, 108, 8);
  writeOctal(block, 0, 116, 8);
  writeOctal(block, size, 124, 12);
  writeOctal(block, 0, 136, 12);
  block.write('        ', 148);
  block.write(type, 156);
  block.write('ustar\x0000', 257);
  block.write(prefix, 345);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

function writeOctal(block: Buffer, value: number, offset: number, width: number): void {
  block.write(value.toString(8).padStart(width - 1, '0'), offset);
}

/** A name has 100 bytes, and 155 more for leading folders. */
function splitName(path: string): { prefix: string; name: string } {
  if (Buffer.byteLength(path) <= 100) return { prefix: '', name: path };
  for (let slash = path.indexOf('/'); slash > 0; slash = path.indexOf('/', slash + 1)) {
    const prefix = path.slice(0, slash);
    const name = path.slice(slash + 1);
    if (name !== '' && Buffer.byteLength(prefix) <= 155 && Buffer.byteLength(name) <= 100) return { prefix, name };
  }
  throw new LatchkeyError('name_too_long', 'a file name is too long for the archive that carries it', {
    extra: { path },
  });
}

import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';
import { LatchkeyError } from '../errors.ts';

/**
 * A long text in pieces of 64 KiB, each sealed by AES-256-GCM for itself, after the STREAM construction (Hoang, Reyhanitabar,
 * Rogaway, Vizár 2015): the nonce counts the pieces and marks the last, so that none can be left out, moved or put
 * behind the end. The key serves one file only: it comes from a wrapping key with a fresh salt.
 */
export const pieceBytes = 65_536;
const tagBytes = 16;

export function streamKey(kek: Uint8Array): Buffer {
  return Buffer.from(hkdfSync('sha256', kek, '', 'latchkey backup 1|stream', 32));
}

/** Seals `plain`; `label` is bound to every piece. */
export async function* sealStream(
  key: Uint8Array,
  label: Uint8Array,
  plain: AsyncIterable<Uint8Array>,
): AsyncGenerator<Buffer> {
  let count = 0;
  for await (const { piece, last } of pieces(plain, pieceBytes)) {
    const cipher = createCipheriv('aes-256-gcm', key, nonce(count, last), { authTagLength: tagBytes }).setAAD(label);
    yield Buffer.concat([cipher.update(piece), cipher.final(), cipher.getAuthTag()]);
    count += 1;
  }
}

/** Opens what `sealStream` made, piece by piece. Throws `backup_refused` at the first one, `backup_damaged` at a later one. */
export async function* openStream(
  key: Uint8Array,
  label: Uint8Array,
  sealed: AsyncIterable<Uint8Array>,
): AsyncGenerator<Buffer> {
  let count = 0;
  for await (const { piece, last } of pieces(sealed, pieceBytes + tagBytes)) {
    yield openPiece(key, label, piece, count, last);
    count += 1;
  }
}

function openPiece(key: Uint8Array, label: Uint8Array, piece: Buffer, count: number, last: boolean): Buffer {
  try {
    const body = piece.subarray(0, -tagBytes);
    const decipher = createDecipheriv('aes-256-gcm', key, nonce(count, last), { authTagLength: tagBytes });
    decipher.setAAD(label).setAuthTag(piece.subarray(-tagBytes));
    return Buffer.concat([decipher.update(body), decipher.final()]);
  } catch (cause) {
    if (count === 0) {
      throw new LatchkeyError('backup_refused', 'this secret does not open the backup, or its beginning is damaged', {
        hint: 'check that it is the secret the backup was made with',
        cause,
      });
    }
    throw new LatchkeyError('backup_damaged', `the backup is damaged or cut off near byte ${count * pieceBytes}`, {
      hint: 'take another backup',
      cause,
    });
  }
}

function nonce(count: number, last: boolean): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUIntBE(count, 5, 6);
  bytes.writeUInt8(last ? 1 : 0, 11);
  return bytes;
}

/** Cuts a stream into pieces of exactly `size`, the last one shorter or equal, and empty only when there is nothing at all. */
async function* pieces(
  source: AsyncIterable<Uint8Array>,
  size: number,
): AsyncGenerator<{ readonly piece: Buffer; readonly last: boolean }> {
  let held: Buffer = Buffer.alloc(0);
  for await (const chunk of source) {
    held = held.length === 0 ? Buffer.from(chunk) : Buffer.concat([held, chunk]);
    while (held.length > size) {
      yield { piece: held.subarray(0, size), last: false };
      held = held.subarray(size);
    }
  }
  yield { piece: held, last: true };
}

import * as z from 'zod';
import type { RandomBytes } from '../../platform/clock.ts';
import { sha256 } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { parseInput } from '../../platform/schema.ts';
import { type KekHeader, kekHeaderSchema, type UnsealMethod } from '../../platform/vault/unseal.ts';
import { openBox, sealBox } from '../../platform/vault/vault.ts';
import { keyBytesLimit, keyId } from '../wire.ts';

/** A stored key on its way to paper or back. */
export interface PaperKey {
  readonly client: string;
  readonly id: string;
  /** As it is stored: on its own it opens no file. */
  readonly bytes: Uint8Array;
}

const nonceBytes = 12;
/** Letters of one QR code; 89 modules wide with what stands around them, which a phone reads off a printed page. */
const partLetters = 800;
/** More codes than the largest key makes. */
const mostParts = 2_000;
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

const headerSchema = z.strictObject({
  paper: z.literal(1),
  client: z.string().max(63),
  id: keyId,
  /** Of the key's bytes, hex. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 hex digits'),
  /** How the passphrase was stretched; `null` for a key in plain. */
  kek: kekHeaderSchema.nullable(),
});
type PaperHeader = z.infer<typeof headerSchema>;

/** What seals the keys of one document: the passphrase is stretched once. */
export interface PaperSeal {
  readonly header: KekHeader;
  readonly kek: Uint8Array;
}

export async function newPaperSeal(method: UnsealMethod, random: RandomBytes): Promise<PaperSeal> {
  const header = method.newHeader(random);
  return { header, kek: await method.kekOf(header) };
}

/**
 * The texts of a key's QR codes: `LK1:SET:NUMBER/OF:LETTERS`, all in letters that a QR code packs well. The letters, in order,
 * are base32 (RFC 4648, without padding) of: length of the header (2 bytes), header (JSON), then the key, or its box (nonce,
 * AES-256-GCM, tag) with the header bound to it. SET is the beginning of the SHA-256 of these bytes.
 */
export function paperCodes(key: PaperKey, seal: PaperSeal | null, random: RandomBytes): readonly string[] {
  const header: PaperHeader = {
    paper: 1,
    client: key.client,
    id: key.id,
    sha256: sha256(key.bytes).toString('hex'),
    kek: seal?.header ?? null,
  };
  const head = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(2);
  length.writeUInt16BE(head.length);
  const body = seal === null ? key.bytes : sealBox(seal.kek, key.bytes, labelOf(head), random(nonceBytes));
  const payload = Buffer.concat([length, head, body]);
  const parts = encodeBase32(payload).match(new RegExp(`.{1,${partLetters}}`, 'g')) ?? [];
  return parts.map((letters, index) => `LK1:${setOf(payload)}:${index + 1}/${parts.length}:${letters}`);
}

/** One key as it came off the paper, perhaps still sealed. */
export interface ScannedKey {
  readonly client: string;
  readonly id: string;
  readonly sha256: string;
  readonly isSealed: boolean;
  /** Throws `paper_refused` for a wrong passphrase. `method` is asked only when it is sealed. */
  open(method: UnsealMethod): Promise<Buffer>;
}

/**
 * The keys in a text with one code a line, in any order, repeated or not. Throws `paper_refused`, naming the line or the
 * code that is missing.
 */
export function scannedKeys(text: string): readonly ScannedKey[] {
  const sets = new Map<string, { readonly of: number; readonly parts: Map<number, string> }>();
  text.split(/\r?\n/).forEach((raw, index) => {
    const line = raw.trim();
    if (line === '') return;
    const match = /^LK1:([0-9A-F]{8}):([1-9][0-9]{0,3})\/([1-9][0-9]{0,3}):([A-Z2-7]{1,800})$/.exec(line);
    const [, set = '', number = '', of = '', letters = ''] = match ?? [];
    if (match === null || Number(number) > Number(of) || Number(of) > mostParts) {
      throw refused(`line ${index + 1} is no code of a paper copy`);
    }
    const known = sets.get(set) ?? { of: Number(of), parts: new Map<number, string>() };
    const before = known.parts.get(Number(number));
    if (known.of !== Number(of) || (before !== undefined && before !== letters)) {
      throw refused(`line ${index + 1} and one before it say different things of code ${number} of set ${set}`);
    }
    known.parts.set(Number(number), letters);
    sets.set(set, known);
  });
  if (sets.size === 0) throw refused('there is no code in it');
  return [...sets].map(([set, { of, parts }]) => {
    const missing = Array.from({ length: of }, (_, index) => index + 1).filter((number) => !parts.has(number));
    if (missing.length > 0) throw refused(`of set ${set} code ${missing.join(', ')} of ${of} is missing`);
    const ordered = [...parts].sort(([a], [b]) => a - b).map(([, letters]) => letters);
    return keyFrom(set, ordered.join(''));
  });
}

function keyFrom(set: string, letters: string): ScannedKey {
  const payload = decodeBase32(letters);
  if (setOf(payload) !== set) throw refused(`the codes of set ${set} do not fit together`);
  const end = payload.length < 2 ? Number.POSITIVE_INFINITY : 2 + payload.readUInt16BE();
  if (end > payload.length) throw refused(`set ${set} has no header`);
  const head = payload.subarray(2, end);
  const body = payload.subarray(end);
  const header = headerFrom(set, head);
  return {
    client: header.client,
    id: header.id,
    sha256: header.sha256,
    isSealed: header.kek !== null,
    open: async (method) => {
      const bytes = header.kek === null ? body : openBox(await method.kekOf(header.kek), body, labelOf(head));
      if (bytes === null) throw refused(`this passphrase does not open ${header.id}`);
      const isRight = sha256(bytes).toString('hex') === header.sha256;
      if (isRight && bytes.length > 0 && bytes.length <= keyBytesLimit) return bytes;
      throw refused(`the bytes of ${header.id} are not those its digest names`);
    },
  };
}

function headerFrom(set: string, head: Uint8Array): PaperHeader {
  try {
    return parseInput(headerSchema, JSON.parse(Buffer.from(head).toString('utf8')));
  } catch (cause) {
    throw new LatchkeyError('paper_refused', `set ${set} has a header this version cannot read`, { cause, exit: 2 });
  }
}

function refused(message: string): LatchkeyError {
  return new LatchkeyError('paper_refused', message, {
    exit: 2,
    hint: 'scan every code of the key once more, one text a line',
  });
}

function labelOf(head: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from('latchkey paper 1|'), head]);
}

function setOf(payload: Uint8Array): string {
  return sha256(payload).toString('hex', 0, 4).toUpperCase();
}

function encodeBase32(bytes: Uint8Array): string {
  let text = '';
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) text += alphabet[(held >> (bits - 5)) & 31];
    held &= 31;
  }
  return bits === 0 ? text : text + alphabet[(held << (5 - bits)) & 31];
}

/** What is left of the last letter is dropped: the digest over the bytes is what counts. */
function decodeBase32(text: string): Buffer {
  const bytes = Buffer.alloc(Math.floor((text.length * 5) / 8));
  let bits = 0;
  let held = 0;
  let at = 0;
  for (const letter of text) {
    held = ((held << 5) | alphabet.indexOf(letter)) & 0xfff;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes[at++] = (held >> bits) & 255;
  }
  return bytes;
}

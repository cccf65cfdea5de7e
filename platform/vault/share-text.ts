import { sha256 } from '../encoding.ts';
import { LatchkeyError } from '../errors.ts';

/** One share of a vault's unseal secret, as the person who keeps it has it. */
export interface Share {
  /** Which set it belongs to: 8 hex digits. Each split makes a new set. */
  readonly set: string;
  /** 1 for the first of the set. */
  readonly number: number;
  /** How many of the set open the vault. */
  readonly threshold: number;
  /** 33 bytes that tell nothing without the others. */
  readonly value: Uint8Array;
}

/**
 * As written down: three lines of four groups of six, in Crockford's base32 (no I, L, O, U). A line is 14 bytes and a check
 * byte of its own, so that a slip of the pen is found where it was made:
 * version, set (4), number, threshold, value (33), check of all (2).
 */
const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const version = 1;
const valueBytes = 33;
const lineBytes = 14;
export const shareLines = 3;
const lineSymbols = 24;

/** The three lines of a share. */
export function writeShare(share: Share): readonly string[] {
  const body = Buffer.concat([
    Buffer.from([version]),
    Buffer.from(share.set, 'hex'),
    Buffer.from([share.number, share.threshold]),
    share.value,
  ]);
  const whole = Buffer.concat([body, sha256('latchkey share 1|', body).subarray(0, 2)]);
  return Array.from({ length: shareLines }, (_, line) => {
    const bytes = whole.subarray(line * lineBytes, (line + 1) * lineBytes);
    const symbols = encodeBase32(Buffer.concat([bytes, checkByte(line, bytes)]));
    return (symbols.match(/.{6}/g) ?? []).join('-');
  });
}

/** What a file with one share holds: a line for people, and the three. */
export function shareDocument(share: Share, shares: number): string {
  const heading = `latchkey share ${share.number} of ${shares}, set ${share.set}: any ${share.threshold} of the set open the vault`;
  return `${heading}\n${writeShare(share).join('\n')}\n`;
}

/**
 * The 14 bytes of one line, however it was typed: groups apart or not, small or large letters, O for 0, I and L for 1.
 * Throws `share_refused`; `line` counts from 0.
 */
export function readShareLine(text: string, line: number, name: string): Buffer {
  const symbols = text.toUpperCase().replace(/[\s-]/g, '').replaceAll('O', '0').replace(/[IL]/g, '1');
  const where = `line ${line + 1} of ${name}`;
  if (symbols.length !== lineSymbols) {
    throw refused(`${where} must have ${lineSymbols} characters, it has ${symbols.length}`);
  }
  const decoded = decodeBase32(symbols);
  if (decoded === null) throw refused(`${where} has a character that no share has`);
  const bytes = decoded.subarray(0, lineBytes);
  if (!checkByte(line, bytes).equals(decoded.subarray(lineBytes))) throw refused(`${where} is mistyped`);
  return bytes;
}

/** The share that those lines are. Throws `share_refused` with `name` in its words. */
export function shareFromLines(lines: readonly Uint8Array[], name: string): Share {
  const whole = Buffer.concat(lines);
  const body = whole.subarray(0, -2);
  if (!sha256('latchkey share 1|', body).subarray(0, 2).equals(whole.subarray(-2))) {
    throw refused(`the lines of ${name} are not of one share`);
  }
  if (body[0] !== version) throw refused(`${name} is of a version this program does not know`);
  return {
    set: body.toString('hex', 1, 5),
    number: body.readUInt8(5),
    threshold: body.readUInt8(6),
    value: Uint8Array.from(body.subarray(7, 7 + valueBytes)),
  };
}

/** The share in a document: its heading may be missing, other lines may not be there. */
export function readShare(text: string, name: string): Share {
  const lines = text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('latchkey share '));
  if (lines.length !== shareLines) {
    throw refused(`${name} must hold the ${shareLines} lines of a share, it holds ${lines.length}`);
  }
  return shareFromLines(
    lines.map((line, index) => readShareLine(line, index, name)),
    name,
  );
}

function refused(message: string): LatchkeyError {
  return new LatchkeyError('share_refused', message, { exit: 2, hint: 'compare it with the share as it was written' });
}

function checkByte(line: number, bytes: Uint8Array): Buffer {
  return sha256(`latchkey share 1|${line}|`, bytes).subarray(0, 1);
}

/** 15 bytes are 24 symbols: nothing is left over. */
function encodeBase32(bytes: Uint8Array): string {
  let bits = 0n;
  for (const byte of bytes) bits = (bits << 8n) | BigInt(byte);
  const digits = bits.toString(32).padStart(lineSymbols, '0');
  return [...digits].map((digit) => alphabet[Number.parseInt(digit, 32)]).join('');
}

function decodeBase32(symbols: string): Buffer | null {
  let bits = 0n;
  for (const symbol of symbols) {
    const value = alphabet.indexOf(symbol);
    if (value === -1) return null;
    bits = (bits << 5n) | BigInt(value);
  }
  return Buffer.from(bits.toString(16).padStart(30, '0'), 'hex');
}

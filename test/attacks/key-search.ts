import { createHash } from 'node:crypto';
import { constants, gunzipSync, inflateRawSync, inflateSync } from 'node:zlib';
import type { NeedleIndex } from './needle-index.ts';
import { cryptoText, type InstanceSecret, openCryptoText, openKeyBlob } from './nextcloud-crypto.ts';

/** Everything a thief knows besides the bytes in hand. */
export interface Thief {
  readonly needles: NeedleIndex;
  /** `secret` of each config.php at hand, and cookies if there are any. */
  readonly passwords: readonly string[];
  readonly instances: readonly InstanceSecret[];
  /** Key ids that private keys may have been sealed under. */
  readonly uids: readonly string[];
}

export interface Hit {
  readonly secret: string;
  /** How it was come by, outermost first: `gzip > hex > crypto text > base64`. */
  readonly way: string;
}

const deepest = 6;
const largestUnpacked = 64 << 20;

/** Looks for the secrets in bytes, in all that the bytes unpack to, and in all that the thief's passwords open in them. */
export function searchBytes(bytes: Buffer, thief: Thief): readonly Hit[] {
  const hits = new Map<string, Hit>();
  const seen = new Set<string>();
  const visit = (part: Buffer, way: readonly string[]): void => {
    if (part.length < 16 || way.length > deepest) return;
    const digest = createHash('sha256').update(part).digest('hex');
    if (seen.has(digest)) return;
    seen.add(digest);
    for (const needle of thief.needles.in(part)) note(hits, needle.secret, [...way, needle.encoding]);
    for (const [name, inner] of unpacked(part, thief)) visit(inner, [...way, name]);
  };
  visit(bytes, []);
  return [...hits.values()];
}

function note(hits: Map<string, Hit>, secret: string, ways: readonly string[]): void {
  const way = ways.join(' > ');
  hits.set(`${secret} ${way}`, { secret, way });
}

/** Everything that one layer of these bytes may be taken for. */
function* unpacked(part: Buffer, thief: Thief): Generator<readonly [way: string, inner: Buffer]> {
  yield* inflated(part);
  const text = part.toString('latin1');
  for (const [way, plain] of unescaped(text)) yield [way, Buffer.from(plain, 'latin1')];
  // each looks only where a word begins: tried at every letter, these take several times as long
  for (const match of text.matchAll(/(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{200,}={0,2}/g))
    yield ['base64', Buffer.from(match[0], 'base64')];
  for (const match of text.matchAll(/(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{200,}/g)) {
    if (/[_-]/.test(match[0])) yield ['base64url', Buffer.from(match[0], 'base64url')];
  }
  for (const match of text.matchAll(/(?:[0-9a-fA-F]{2}){100,}/g)) yield ['hex', Buffer.from(match[0], 'hex')];
  for (const match of text.matchAll(cryptoText)) {
    for (const password of thief.passwords) {
      const opened = openCryptoText(match[0], password);
      if (opened !== null) yield ['crypto text', opened];
    }
  }
  for (const match of text.matchAll(/HBEGIN:[\s\S]{20,16000}?00sig00[0-9a-f]{64}xxx/g)) {
    for (const instance of thief.instances) {
      for (const uid of thief.uids) {
        const pem = openKeyBlob(Buffer.from(match[0], 'latin1'), instance, uid);
        if (pem !== null) yield ['key blob', Buffer.from(pem)];
      }
    }
  }
}

/** What JSON, URLs and mail do to a text, undone; line breaks within base64 and hex go as well. */
function* unescaped(text: string): Generator<readonly [way: string, plain: string]> {
  if (/%[0-9A-Fa-f]{2}/.test(text)) {
    yield [
      'url',
      text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    ];
  }
  if (text.includes('\\')) {
    yield [
      'json',
      text
        .replace(/\\+(?:n|r|t)/g, '\n')
        .replace(/\\+([/"'])/g, '$1')
        .replace(/\\u00([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    ];
  }
  if (/(?<=[A-Za-z0-9+/]{40}\r?)\n[A-Za-z0-9+/]{40}/.test(text))
    yield ['lines', text.replace(/(?<=[A-Za-z0-9+/])[\r\n \t]+(?=[A-Za-z0-9+/=])/g, '')];
  if (/[0-9A-Fa-f]{2}(?:[: ][0-9A-Fa-f]{2}){30}/.test(text))
    yield ['bytes apart', text.replace(/(?<=[0-9A-Fa-f]{2})[: \r\n]+(?=[0-9A-Fa-f]{2})/g, '')];
}

const options = { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: largestUnpacked };

/** Streams of gzip and zlib anywhere in the bytes, cut-off ones too; a whole zip member is raw deflate after its name. */
function* inflated(part: Buffer): Generator<readonly [way: string, inner: Buffer]> {
  const tries: readonly (readonly [string, Buffer, (bytes: Buffer) => Buffer, number])[] = [
    ['gzip', Buffer.from([0x1f, 0x8b, 8]), (bytes) => gunzipSync(bytes, options), 0],
    ['zlib', Buffer.from([0x78, 0x9c]), (bytes) => inflateSync(bytes, options), 0],
    ['zlib', Buffer.from([0x78, 0xda]), (bytes) => inflateSync(bytes, options), 0],
    ['zlib', Buffer.from([0x78, 0x01]), (bytes) => inflateSync(bytes, options), 0],
    ['zlib', Buffer.from([0x78, 0x5e]), (bytes) => inflateSync(bytes, options), 0],
    ['zip', Buffer.from('PK\u0003\u0004', 'latin1'), unzipped, 0],
  ];
  for (const [way, magic, open] of tries) {
    for (let at = part.indexOf(magic); at !== -1; at = part.indexOf(magic, at + 1)) {
      try {
        const inner = open(part.subarray(at));
        if (inner.length > 64) yield [way, inner];
      } catch {
        // the same bytes by chance
      }
    }
  }
}

function unzipped(bytes: Buffer): Buffer {
  const from = 30 + bytes.readUInt16LE(26) + bytes.readUInt16LE(28);
  return inflateRawSync(bytes.subarray(from), options);
}

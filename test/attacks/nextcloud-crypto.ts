import { createDecipheriv, createHash, createHmac, hkdfSync, pbkdf2Sync, timingSafeEqual } from 'node:crypto';

/**
 * How Nextcloud encrypts at rest, written down once more from its formats, as a thief would who has no Nextcloud: every
 * function answers `null` where the password is not the right one.
 */

/** `hex|hex|hex|3`, what `Security/Crypto` makes of a text: key files, sessions, values in the database. */
export const cryptoText: RegExp = /([0-9a-f]{32,})\|([0-9a-f]{32})\|([0-9a-f]{128})\|3/g;

/** Opens such a text. The password is the instance's `secret`, or for a session the cookie `oc_sessionPassphrase`. */
export function openCryptoText(text: string, password: string): Buffer | null {
  const match = new RegExp(cryptoText.source).exec(text);
  if (match === null) return null;
  const [, content = '', iv = '', mac = ''] = match;
  const material = Buffer.from(hkdfSync('sha512', password, '', '', 64));
  const macKey = createHash('sha512').update(material.subarray(32)).update('a').digest();
  // PHP hashes to hexadecimal text unless told otherwise, and that text is the key
  const expected = createHmac('sha512', macKey.toString('hex')).update(`${content}${iv}`).digest();
  if (!timingSafeEqual(expected, Buffer.from(mac, 'hex'))) return null;
  const key = pbkdf2Sync(material.subarray(0, 32), 'phpseclib', 1000, 16, 'sha1');
  const cipher = createDecipheriv('aes-128-cbc', key, Buffer.from(iv, 'hex'));
  return Buffer.concat([cipher.update(Buffer.from(content, 'hex')), cipher.final()]);
}

const sealTail = /00iv00([\s\S]{16})00sig00([0-9a-f]{64})xxx$/;

/** One signed block of `Crypto/Crypt`: content, `00iv00`, 16 bytes, `00sig00`, 64 hex digits, `xxx`. */
function openBlock(block: Buffer, cipherName: string, key: Uint8Array, signedWith: Uint8Array | null): Buffer | null {
  const match = sealTail.exec(block.toString('latin1'));
  if (match === null) return null;
  const content = block.subarray(0, block.length - match[0].length);
  if (signedWith !== null) {
    const macKey = createHash('sha512').update(signedWith).update('a').digest();
    if (createHmac('sha256', macKey).update(content).digest('hex') !== match[2]) return null;
  }
  const bytes = Number(/-(128|256)-/.exec(cipherName)?.[1] ?? 256) / 8;
  const cipher = createDecipheriv(cipherName.toLowerCase(), fitted(key, bytes), Buffer.from(match[1] ?? '', 'latin1'));
  return Buffer.concat([cipher.update(content), cipher.final()]);
}

/** OpenSSL under PHP cuts a key that is too long and fills one that is too short with zeros. */
function fitted(key: Uint8Array, bytes: number): Buffer {
  const fit = Buffer.alloc(bytes);
  fit.set(key.subarray(0, bytes));
  return fit;
}

const header = /^HBEGIN:((?:[A-Za-z0-9_]+:[A-Za-z0-9_-]+:)+)HEND/;

function headerOf(bytes: Buffer): { readonly length: number; readonly values: ReadonlyMap<string, string> } | null {
  const match = header.exec(bytes.subarray(0, 1024).toString('latin1'));
  if (match === null) return null;
  const words = (match[1] ?? '').split(':');
  const values = new Map<string, string>();
  for (let at = 0; at + 1 < words.length; at += 2) values.set(words[at] ?? '', words[at + 1] ?? '');
  return { length: match[0].length, values };
}

const rounds: Readonly<Record<string, number>> = { hash: 100_000, hash2: 600_000 };
const stretched = new Map<string, Buffer>();

/** 600,000 rounds take a third of a second: each password is stretched once. */
function stretch(password: string, salt: Buffer, count: number): Buffer {
  const name = JSON.stringify([password, salt.toString('hex'), count]);
  const known = stretched.get(name) ?? pbkdf2Sync(password, salt, count, 32, 'sha256');
  stretched.set(name, known);
  return known;
}

/** What opens private keys: both are in config.php. */
export interface InstanceSecret {
  readonly secret: string;
  readonly instanceId: string;
}

/**
 * The PEM in a stored private key, in the format in which Nextcloud keeps it (`hash2`) or in the one that the app keeps
 * in RAM (`password`). `uid` is the key's id, `master_…`, or '' for the others.
 */
export function openKeyBlob(blob: Buffer, instance: InstanceSecret, uid: string): string | null {
  const head = headerOf(blob);
  if (head === null) return null;
  const count = rounds[head.values.get('keyFormat') ?? ''];
  const { secret, instanceId } = instance;
  const salt = createHash('sha256').update(`${uid}${instanceId}${secret}`).digest();
  const key = count === undefined ? Buffer.from(secret) : stretch(secret, salt, count);
  const signedWith = Buffer.concat([key, Buffer.from('_0_0')]);
  const content = blob.subarray(head.length);
  const pem = openBlock(content, head.values.get('cipher') ?? 'AES-256-CTR', key, signedWith)?.toString('latin1') ?? '';
  return /^-----BEGIN (?:RSA )?PRIVATE KEY-----/.test(pem) ? pem : null;
}

const blockBytes = 8192;

/** The content of an encrypted file whose file key is known. Signatures are not looked at: a thief does not mind. */
export function openFileContent(file: Buffer, fileKey: Uint8Array): Buffer | null {
  const head = headerOf(file);
  if (head === null) return null;
  const parts: Buffer[] = [];
  for (let at = blockBytes; at < file.length; at += blockBytes) {
    const block = file.subarray(at, at + blockBytes);
    const part = openBlock(block, head.values.get('cipher') ?? 'AES-256-CTR', fileKey, null);
    if (part === null) return null;
    parts.push(part);
  }
  return Buffer.concat(parts);
}

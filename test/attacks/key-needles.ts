import { createPrivateKey } from 'node:crypto';

/** Short enough to lie within one line of a PEM or one page of a database somewhere, long enough to be no chance. */
const windowBytes = 30;

/** A stretch of a secret in one encoding, as bytes to look for. */
export interface Needle {
  readonly secret: string;
  readonly encoding: string;
  readonly bytes: Buffer;
}

function cut(bytes: Buffer, share: number): Buffer {
  const at = Math.floor((bytes.length - windowBytes) * share);
  return bytes.subarray(at, at + windowBytes);
}

/** All texts in which base64 shows these bytes: it depends on how many bytes stand before them. */
function base64Forms(bytes: Buffer): string[] {
  return [0, 1, 2].map((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
    return text.slice(before === 0 ? 0 : 4, Math.floor((before + bytes.length) / 3) * 4);
  });
}

/** One secret in every encoding that a program could have given it. Short secrets are looked for whole. */
export function needlesOf(secret: string, bytes: Buffer): readonly Needle[] {
  const windows =
    bytes.length <= windowBytes * 2 ? [bytes] : [0.03, 0.2, 0.4, 0.6, 0.8, 0.97].map((at) => cut(bytes, at));
  const needles: Needle[] = [];
  const add = (encoding: string, found: Buffer): void => void needles.push({ secret, encoding, bytes: found });
  for (const part of windows) {
    add('raw', part);
    add('hex', Buffer.from(part.toString('hex')));
    add('HEX', Buffer.from(part.toString('hex').toUpperCase()));
    add('reversed', Buffer.from(part).reverse()); // big numbers in memory order
    for (const text of base64Forms(part)) {
      add('base64', Buffer.from(text));
      const url = text.replaceAll('+', '-').replaceAll('/', '_');
      if (url !== text) add('base64url', Buffer.from(url));
    }
  }
  return needles;
}

/** A private key's DER, and its secret numbers by themselves, in which every other format of the same key holds it. */
export function keyNeedles(name: string, pem: string): readonly Needle[] {
  const key = createPrivateKey(pem);
  const jwk = key.export({ format: 'jwk' });
  const numbers = ['d', 'p', 'q', 'dp', 'dq', 'qi'] as const;
  const formats = ['pkcs8', 'pkcs1'] as const;
  return [
    ...formats.flatMap((type) => needlesOf(`${name} ${type}`, secretPart(key.export({ format: 'der', type })))),
    ...numbers.flatMap((one) => needlesOf(`${name} ${one}`, Buffer.from(String(jwk[one]), 'base64url'))),
  ];
}

/** Both DER forms begin with the modulus, which the public key shows as well. */
function secretPart(der: Buffer): Buffer {
  return der.subarray(Math.floor(der.length * 0.3));
}

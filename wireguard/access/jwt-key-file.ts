import { createPublicKey, createSecretKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { LatchkeyError } from '../../platform/errors.ts';

/** As long as what HS256 makes of it (RFC 7518, section 3.2). */
const shortestSecret = 32;
const longestSecret = 1_024;

/** An Ed25519 public key out of a PEM (SPKI) or a JWK. Throws `invalid_key`; a private key is refused, as it belongs elsewhere. */
export function publicKeyFrom(text: string): KeyObject {
  if (/PRIVATE KEY/.test(text)) throw isPrivate();
  const jwk = jwkIn(text);
  if (jwk?.d !== undefined) throw isPrivate();
  let key: KeyObject;
  try {
    key = createPublicKey(jwk === null ? text : { key: jwk, format: 'jwk' });
  } catch {
    throw invalid('must hold a public key, as PEM or JWK'); // what the parser says may quote the file
  }
  if (key.asymmetricKeyType === 'ed25519') return key;
  throw invalid('must hold an Ed25519 key: EdDSA is the only kind of signature that is taken');
}

/**
 * A secret of HS256 as a file has it: its very bytes; of a line of text without the line's end, which editors and shells put there.
 * Throws `invalid_key`.
 */
export function secretFrom(bytes: Uint8Array): KeyObject {
  const text = Buffer.from(bytes).toString('latin1');
  const isLine = /^[\x20-\x7e]*\r?\n$/.test(text);
  const secret = isLine ? Buffer.from(text.replace(/\r?\n$/, ''), 'latin1') : Buffer.from(bytes);
  if (secret.length < shortestSecret || secret.length > longestSecret) {
    throw new LatchkeyError(
      'invalid_key',
      `"--secret-file" must hold from ${shortestSecret} to ${longestSecret} bytes, it holds ${secret.length}`,
      { exit: 2, field: '--secret-file', hint: 'make one: openssl rand -base64 48' },
    );
  }
  return createSecretKey(secret);
}

function jwkIn(text: string): JsonWebKey | null {
  if (!text.trimStart().startsWith('{')) return null;
  try {
    return JSON.parse(text) as JsonWebKey;
  } catch {
    throw invalid('must hold a public key, as PEM or JWK');
  }
}

function invalid(words: string): LatchkeyError {
  return new LatchkeyError('invalid_key', `"--public-key-file" ${words}`, { exit: 2, field: '--public-key-file' });
}

function isPrivate(): LatchkeyError {
  return new LatchkeyError('invalid_key', '"--public-key-file" holds a private key, which the hub must not have', {
    exit: 3,
    field: '--public-key-file',
    hint: 'make the public half: openssl pkey -in FILE -pubout',
  });
}

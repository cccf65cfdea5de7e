import { createPrivateKey, createPublicKey, diffieHellman, generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { RandomBytes } from '../platform/clock.ts';
import { LatchkeyError } from '../platform/errors.ts';

/** A key as WireGuard writes it: canonical padded base64 of 32 bytes, 44 characters. */
export type WireGuardKey = string;

export interface KeyPair {
  readonly privateKey: WireGuardKey;
  readonly publicKey: WireGuardKey;
}

const BYTES = 32;
/** RFC 8410, sections 4 and 7: what stands before the 32 bytes of an X25519 key in PKCS#8 and in SPKI. */
const PKCS8 = Buffer.from('302e020100300506032b656e04220420', 'hex');
const SPKI = Buffer.from('302a300506032b656e032100', 'hex');

/** A new Curve25519 pair (RFC 7748), with the bits of the private key set and cleared as `wg genkey` does. */
export function generateKeyPair(): KeyPair {
  const { privateKey } = generateKeyPairSync('x25519');
  const raw = privateKey.export({ type: 'pkcs8', format: 'der' }).subarray(PKCS8.length);
  return { privateKey: encode(clamp(Buffer.from(raw))), publicKey: encode(rawPublic(createPublicKey(privateKey))) };
}

/** The public half of a private key. */
export function publicKeyOf(privateKey: WireGuardKey): WireGuardKey {
  return encode(rawPublic(createPublicKey(privateObject(parseKey(privateKey, 'private key')))));
}

/** A new preshared key: 32 random bytes. */
export function generatePresharedKey(random: RandomBytes): WireGuardKey {
  return encode(random(BYTES));
}

/**
 * The 32 bytes of a key, or `invalid_key` (400, exit 2) naming the field. Only the one spelling that encodes back to
 * itself is taken, so that one key cannot be stored twice.
 */
export function parseKey(text: string, field: string): Buffer {
  const decoded = /^[A-Za-z0-9+/]{43}=$/.test(text) ? Buffer.from(text, 'base64') : null;
  if (decoded?.length === BYTES && decoded.toString('base64') === text) return decoded;
  throw invalid(field, 'must be a key of WireGuard: 44 characters of base64 for 32 bytes');
}

/**
 * A public key that a tunnel can be made with. Refuses (`invalid_key`) what is no key, and the points of low order
 * (RFC 7748, section 6.1), with which everybody would agree on the same secret. The top bit, which X25519 ignores, must
 * be clear: with it one key would have two names.
 */
export function parsePublicKey(text: string, field: string): WireGuardKey {
  const raw = parseKey(text, field);
  if (((raw[BYTES - 1] ?? 0) & 0x80) !== 0) throw invalid(field, 'must not have its top bit set');
  if (hasLowOrder(raw)) throw invalid(field, 'must not be a point of low order');
  return text;
}

/** Keys are base64 in files and hex on the control socket. */
export function keyToHex(key: WireGuardKey): string {
  return parseKey(key, 'key').toString('hex');
}

/** The other way; `null` stands for the all-zero key, by which the control socket says that there is none. */
export function keyFromHex(hex: string): WireGuardKey | null {
  if (!/^[0-9a-f]{64}$/i.test(hex))
    throw new LatchkeyError('invalid_key', 'a key on the control socket is 64 hex digits');
  return /^0+$/.test(hex) ? null : Buffer.from(hex, 'hex').toString('base64');
}

/** OpenSSL refuses to agree on the all-zero secret that such points lead to (RFC 7748, section 6.1). */
function hasLowOrder(raw: Buffer): boolean {
  try {
    diffieHellman({ privateKey: PROBE, publicKey: publicObject(raw) });
    return false;
  } catch {
    return true;
  }
}

const PROBE = generateKeyPairSync('x25519').privateKey;

/** RFC 7748, section 5, decodeScalar25519. */
function clamp(raw: Buffer): Buffer {
  raw[0] = (raw[0] ?? 0) & 248;
  raw[BYTES - 1] = ((raw[BYTES - 1] ?? 0) & 127) | 64;
  return raw;
}

function privateObject(raw: Buffer): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PKCS8, raw]), type: 'pkcs8', format: 'der' });
}

function publicObject(raw: Buffer): KeyObject {
  return createPublicKey({ key: Buffer.concat([SPKI, raw]), type: 'spki', format: 'der' });
}

function rawPublic(key: KeyObject): Buffer {
  return key.export({ type: 'spki', format: 'der' }).subarray(SPKI.length);
}

function encode(raw: Uint8Array): WireGuardKey {
  return Buffer.from(raw).toString('base64');
}

function invalid(field: string, words: string): LatchkeyError {
  return new LatchkeyError('invalid_key', `"${field}" ${words}`, { status: 400, exit: 2, field });
}

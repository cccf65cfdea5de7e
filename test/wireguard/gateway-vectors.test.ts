import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  type Direction,
  openPayload,
  payloadKey,
  payloadLabel,
  sealPayload,
} from '../../wireguard/gateways/payload.ts';
import { isSignature, isTimely, NONCE, signatureOf, signedText } from '../../wireguard/gateways/signature.ts';

interface SignatureVector {
  readonly name: string;
  readonly secret: string;
  readonly method: string;
  readonly path: string;
  readonly timestamp: string;
  readonly nonce: string;
  readonly body: string;
  readonly signature: string;
}

interface PayloadVector {
  readonly name: string;
  readonly secret: string;
  readonly direction: Direction;
  readonly method: string;
  readonly path: string;
  readonly nonce: string;
  readonly status: number | null;
  readonly payload: string;
}

interface Vectors {
  readonly format: string;
  readonly signatures: {
    readonly held: readonly (SignatureVector & { readonly text: string })[];
    readonly refused: readonly SignatureVector[];
  };
  readonly times: readonly { readonly now: number; readonly timestamp: string; readonly timely: boolean }[];
  readonly nonces: readonly { readonly nonce: string; readonly good: boolean }[];
  readonly payloads: {
    readonly held: readonly (PayloadVector & {
      readonly iv: string;
      readonly plaintext: string;
      readonly key: string;
      readonly label: string;
    })[];
    readonly refused: readonly PayloadVector[];
  };
}

const file = new URL('../../wireguard/gateways/vectors.json', import.meta.url);
const vectors = JSON.parse(readFileSync(file, 'utf8')) as Vectors;
const secretOf = ({ secret }: { readonly secret: string }): Buffer => Buffer.from(secret, 'base64url');
const partsOf = (vector: SignatureVector) => ({ ...vector, body: Buffer.from(vector.body) });
const { signatures, payloads, times, nonces } = vectors;

test('the published vectors are many, of every kind, and no two of a list are alike', () => {
  expect(vectors.format).toBe(signatures.held[0]?.text.split('\n')[0]);
  const lists = [signatures.held, signatures.refused, times, nonces, payloads.held, payloads.refused];
  for (const list of lists) {
    expect(list.length).toBeGreaterThan(6);
    expect(new Set(list.map((one) => JSON.stringify({ ...one, name: '' }))).size).toBe(list.length);
  }
  expect(new Set(signatures.held.map(({ signature }) => signature)).size).toBe(signatures.held.length);
});

describe('a published signature', () => {
  test.each(signatures.held)('holds: $name', (vector) => {
    expect(signedText(partsOf(vector))).toBe(vector.text);
    expect(signatureOf(secretOf(vector), partsOf(vector))).toBe(vector.signature);
    expect(isSignature(secretOf(vector), partsOf(vector), vector.signature)).toBe(true);
  });

  test.each(signatures.refused)('is refused: $name', (vector) => {
    expect(isSignature(secretOf(vector), partsOf(vector), vector.signature)).toBe(false);
  });
});

test.each(times)('at $now the time $timestamp is timely: $timely', ({ now, timestamp, timely }) => {
  expect(isTimely(timestamp, now * 1000)).toBe(timely);
});

test.each(nonces)('the nonce "$nonce" is of its form: $good', ({ nonce, good }) => {
  expect(NONCE.test(nonce)).toBe(good);
});

describe('a published payload', () => {
  test.each(payloads.held)('opens, and is sealed so: $name', (vector) => {
    const secret = secretOf(vector);
    expect(payloadKey(secret, vector.direction).toString('hex')).toBe(vector.key);
    expect(payloadLabel(vector)).toBe(vector.label);
    const iv = Buffer.from(vector.iv, 'hex');
    expect(sealPayload(secret, vector, Buffer.from(vector.plaintext), () => iv)).toBe(vector.payload);
    expect(openPayload(secret, vector, vector.payload).toString('utf8')).toBe(vector.plaintext);
  });

  test.each(payloads.refused)('does not open: $name', (vector) => {
    expect(() => openPayload(secretOf(vector), vector, vector.payload)).toThrowError(/does not open/);
  });
});

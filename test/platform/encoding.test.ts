import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  constantTimeEqual,
  decodeBase64,
  decodeBase64Url,
  encodeBase64Url,
  parseInteger,
  sha256,
  sha256Hex,
} from '../../platform/encoding.ts';

describe('decodeBase64Url()', () => {
  it.each(['AA=', 'AA==', 'A', 'AB', 'A+', 'A/', ' AA', 'AA\n', 'ÄÄ'])('refuses %j', (text) => {
    expect(decodeBase64Url(text)).toBeNull();
  });
  it('refuses another length than asked', () => {
    expect(decodeBase64Url('AAAA', 2)).toBeNull();
    expect(decodeBase64Url('AAAA', 3)).toEqual(Buffer.alloc(3));
  });
  it('gives back what was encoded, and accepts one spelling only', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.string(), (bytes, text) => {
        expect(decodeBase64Url(encodeBase64Url(bytes))).toEqual(Buffer.from(bytes));
        const decoded = decodeBase64Url(text);
        if (decoded !== null) expect(encodeBase64Url(decoded)).toBe(text);
      }),
    );
  });
});

describe('decodeBase64()', () => {
  it.each(['AA', 'AB==', 'AAA', 'A===', 'AA==\n', '_w==', '===='])('refuses %j', (text) => {
    expect(decodeBase64(text, { max: 100 })).toBeNull();
  });
  it('refuses one byte more than the limit', () => {
    const text = Buffer.alloc(4).toString('base64');
    expect(decodeBase64(text, { max: 3 })).toBeNull();
    expect(decodeBase64(text, { max: 4 })).toEqual(Buffer.alloc(4));
  });
});

describe('parseInteger()', () => {
  it.each(['', '80abc', '1e3', '0x10', '01', '1.0', ' 1', '-0x1', '99999999999999999999', '65536', '0'])(
    'refuses %j, naming the field',
    (text) => {
      expect(() => parseInteger(text, 'listen.port', { min: 1, max: 65535 })).toThrow(
        '"listen.port" must be an integer from 1 to 65535',
      );
    },
  );
  it('accepts both bounds', () => {
    expect(parseInteger('1', 'n', { min: 1, max: 65535 })).toBe(1);
    expect(parseInteger('65535', 'n', { min: 1, max: 65535 })).toBe(65535);
  });
});

describe('sha256() and constantTimeEqual()', () => {
  it('hash the parts as one message (FIPS 180-4, "abc")', () => {
    expect(sha256('a', Buffer.from('bc')).toString('hex')).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
    expect(sha256Hex('a', Buffer.from('bc'))).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  });
  it('tell equal from unequal, lengths included', () => {
    expect(constantTimeEqual(Buffer.from('ab'), Buffer.from('ab'))).toBe(true);
    expect(constantTimeEqual(Buffer.from('ab'), Buffer.from('ac'))).toBe(false);
    expect(constantTimeEqual(Buffer.from('ab'), Buffer.from('a'))).toBe(false);
  });
});

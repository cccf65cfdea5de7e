import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ItemName, Vault } from '../../platform/vault/vault.ts';

const vault = Vault.create(randomBytes);
const name: ItemName = { kind: 'key', client: 'lk-1', id: 'master_1.privateKey', version: 1 };
const secret = Buffer.from('canary: the stored key');
const damaged = expect.objectContaining({ code: 'vault_damaged' });

describe('Vault.open()', () => {
  it.each([
    ['kind', { ...name, kind: 'totp' }],
    ['client', { ...name, client: 'lk-2' }],
    ['id', { ...name, id: 'master_2.privateKey' }],
    ['version', { ...name, version: 2 }],
  ])('refuses a box sealed for another %s', (_, other) => {
    const box = vault.seal(name, secret);
    expect(() => vault.open(other, box)).toThrow(damaged);
  });
  it('refuses a box with any one bit flipped', () => {
    const box = vault.seal(name, secret);
    fc.assert(
      fc.property(fc.nat({ max: box.length * 8 - 1 }), (bit) => {
        const altered = Buffer.from(box);
        altered.writeUInt8(altered.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
        expect(() => vault.open(name, altered)).toThrow(damaged);
      }),
    );
  });
  it('refuses a box cut anywhere, or with bytes behind it', () => {
    const box = vault.seal(name, secret);
    for (let length = 0; length < box.length; length++) {
      expect(() => vault.open(name, box.subarray(0, length))).toThrow(damaged);
    }
    expect(() => vault.open(name, Buffer.concat([box, Buffer.alloc(1)]))).toThrow(damaged);
  });
  it('refuses the box of another vault', () => {
    expect(() => Vault.create(randomBytes).open(name, vault.seal(name, secret))).toThrow(damaged);
  });
  it('does not say what it was about', () => {
    const said = (() => {
      try {
        vault.open({ ...name, version: 9 }, vault.seal(name, secret));
      } catch (error) {
        return String(error);
      }
      return '';
    })();
    expect(said).not.toContain('canary');
  });
  it('opens what was sealed, the empty text too', () => {
    expect(vault.open(name, vault.seal(name, secret))).toEqual(secret);
    expect(vault.open(name, vault.seal(name, Buffer.alloc(0)))).toHaveLength(0);
  });
});

describe('Vault.seal()', () => {
  it('never makes the same box twice', () => {
    expect(vault.seal(name, secret)).not.toEqual(vault.seal(name, secret));
  });
  it('refuses a name that could be read as another', () => {
    expect(() => vault.seal({ ...name, client: 'a|b' }, secret)).toThrow(TypeError);
  });
});

describe('Vault.unwrap()', () => {
  const kek = randomBytes(32);
  const wrapped = vault.wrap(kek, 'header');
  it('refuses another key and another header', () => {
    expect(Vault.unwrap(wrapped, randomBytes(32), 'header', randomBytes)).toBeNull();
    expect(Vault.unwrap(wrapped, kek, 'headeR', randomBytes)).toBeNull();
  });
  it('refuses a sealed item that is not a data key', () => {
    expect(Vault.unwrap(wrapped.subarray(0, 20), kek, 'header', randomBytes)).toBeNull();
  });
  it('opens what the first vault sealed', () => {
    const again = Vault.unwrap(wrapped, kek, 'header', randomBytes);
    expect(again?.open(name, vault.seal(name, secret))).toEqual(secret);
  });
});

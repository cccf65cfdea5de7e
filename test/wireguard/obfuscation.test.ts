import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { CLIENT_PROGRAMS, clientProgram, whyNot } from '../../wireguard/obfuscation/clients.ts';
import { drawObfuscation, LEVEL_NEEDS, LEVELS } from '../../wireguard/obfuscation/levels.ts';
import { tunnelMtu } from '../../wireguard/obfuscation/mtu.ts';
import { isPlain, type Obfuscation, versionNeeded } from '../../wireguard/obfuscation/parameters.ts';
import { breachesOf } from '../../wireguard/obfuscation/rules.ts';
import { packetProblem } from '../../wireguard/obfuscation/signature-packet.ts';

const SOUND: Obfuscation = {
  Jc: 4,
  Jmin: 8,
  Jmax: 80,
  S1: 20,
  S2: 40,
  S3: 30,
  S4: 10,
  H1: 5,
  H2: 6,
  H3: 7,
  H4: { from: 10, to: 20 },
};
const KEY = Buffer.alloc(32, 1).toString('base64');
const PROTECTED: Obfuscation = {
  ...{ S1: 16, S2: 16, S3: 16, S4: 16, H1: 1, H2: 2, H3: 3, H4: 4 },
  HeaderProtectionKey: KEY,
  RandomTrailers: true,
};

describe('breachesOf()', () => {
  test('finds nothing in what is sound', () => {
    expect(breachesOf({})).toEqual([]);
    expect(breachesOf(SOUND)).toEqual([]);
    expect(breachesOf(PROTECTED)).toEqual([]);
  });

  test.each([
    ['more junk than the Android app bears', { Jc: 129 }, 'Jc'],
    ['no junk where junk is spoken of', { Jc: 0 }, 'Jc'],
    ['junk without its sizes', { Jmin: undefined }, 'Jc'],
    ['junk whose least is its most', { Jmin: 80 }, 'Jmin'],
    ['junk whose least is above its most', { Jmin: 90 }, 'Jmin'],
    ['junk larger than a packet', { Jmax: 1281 }, 'Jmax'],
    ['an initiation larger than a packet', { S1: 1133 }, 'S1'],
    ['a response larger than a packet', { S2: 1189 }, 'S2'],
    ['an initiation as long as a response', { S1: 20, S2: 76 }, 'S1'],
    ['a cookie reply as long as a response', { S2: 2, S3: 30 }, 'S3'],
    ['a cookie reply as long as an initiation', { S1: 0, S3: 84 }, 'S3'],
    ['more than 32 bytes on every packet', { S4: 33 }, 'S4'],
    ['S4 without S3', { S3: undefined }, 'S4'],
    ['a type of plain WireGuard', { H1: 4 }, 'H1'],
    ['a type that is no signed 32-bit number', { H4: 2 ** 31 }, 'H4'],
    ['a range upside down', { H4: { from: 20, to: 10 } }, 'H4'],
    ['half a number', { H1: 5.5 }, 'H1'],
    ['a type that is missing', { H3: undefined }, 'H3'],
    ['two types that are one', { H2: 5 }, 'H1'],
    ['a type inside of another’s range', { H3: 15 }, 'H3'],
    ['ranges that touch', { H3: { from: 7, to: 10 } }, 'H3'],
    ['a packet that is none', { I1: '<c>' }, 'I1'],
    [
      'packets longer than the tools bear',
      { I1: `<b 0x${'00'.repeat(1200)}>`, I2: `<b 0x${'00'.repeat(1200)}>` },
      'I1',
    ],
    ['a time that does not fit into 16 bits', { RekeyTimeout: 65_536 }, 'RekeyTimeout'],
    ['header protection with too little padding', { HeaderProtectionKey: KEY, S4: 11 }, 'S4'],
    [
      'a header protection key that is none',
      { HeaderProtectionKey: 'AAAA', S1: 20, S2: 40, S3: 30, S4: 12 },
      'HeaderProtectionKey',
    ],
    ['trailers with unequal padding', { RandomTrailers: true, HeaderProtectionKey: KEY }, 'S1'],
    ['trailers without header protection', { ...PROTECTED, HeaderProtectionKey: undefined }, 'RandomTrailers'],
  ] as [string, Record<string, unknown>, string][])('refuses %s', (_, change, key) => {
    const entries = Object.entries({ ...SOUND, ...change }).filter(([, value]) => value !== undefined);
    const found = breachesOf(Object.fromEntries(entries) as Obfuscation);
    expect(found.map(({ keys }) => keys[0])).toContain(key);
  });
});

describe('packetProblem()', () => {
  test.each([
    '',
    'x',
    '<b 0x>',
    '<b 0xabc>',
    '<b abcd>',
    '<r 0>',
    '<r>',
    '<r 01>',
    '<r 9999>',
    '<c>',
    '<t> ',
    '<b 0x00><q>',
  ])('refuses %j', (text) => {
    expect(packetProblem(text)).not.toBeNull();
  });

  test.each(['<b 0xc0ffee>', '<r 16>', '<rd 3><rc 8><t>', '<b 0x00><r 1279>'])('takes %j', (text) => {
    expect(packetProblem(text)).toBeNull();
  });
});

describe('levels', () => {
  test('off is plain WireGuard', () => {
    expect(isPlain(drawObfuscation('off', randomBytes))).toBe(true);
  });

  test.each(LEVELS)('ten thousand drawn at %s break no rule and need no newer version than is told', (level) => {
    for (let i = 0; i < 10_000; i++) {
      const drawn = drawObfuscation(level, randomBytes);
      const found = breachesOf(drawn);
      if (found.length > 0) expect.fail(`${JSON.stringify(drawn)} breaks ${JSON.stringify(found)}`);
      if (versionNeeded(drawn) !== LEVEL_NEEDS[level])
        expect.fail(`${JSON.stringify(drawn)} needs ${versionNeeded(drawn)}`);
    }
  });

  test('two interfaces do not get the same', () => {
    for (const level of LEVELS.slice(1)) {
      expect(drawObfuscation(level, randomBytes)).not.toEqual(drawObfuscation(level, randomBytes));
    }
  });
});

test('every client takes off; the plain one takes nothing else', () => {
  for (const program of CLIENT_PROGRAMS) expect(whyNot(program, {})).toBeNull();
  for (const level of LEVELS.slice(1)) {
    expect(whyNot(clientProgram('wireguard', 'client'), drawObfuscation(level, randomBytes))).toMatch(
      /plain WireGuard only/,
    );
  }
  expect(whyNot(clientProgram('keenetic', 'client'), drawObfuscation('medium', randomBytes))).toBeNull();
  expect(whyNot(clientProgram('keenetic', 'client'), drawObfuscation('high', randomBytes))).toMatch(/needs 2\.0/);
  expect(whyNot(clientProgram('amneziawg-windows', 'client'), drawObfuscation('extreme', randomBytes))).toMatch(
    /needs 3\.1/,
  );
  expect(() => clientProgram('openvpn', 'client')).toThrowError(/"client" must be one of wireguard, /);
});

test('the MTU leaves room for both headers and the padding, and never falls below what IPv6 needs', () => {
  expect(tunnelMtu({}, { mtu: 1500, family: 4 })).toBe(1440);
  expect(tunnelMtu({}, { mtu: 1500, family: 'either' })).toBe(1420);
  expect(tunnelMtu({ S4: 20 }, { mtu: 1500, family: 6 })).toBe(1400);
  expect(tunnelMtu({ S4: 32 }, { mtu: 1300, family: 6 })).toBe(1280);
});

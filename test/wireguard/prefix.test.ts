import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  canonicalPrefix,
  contains,
  formatAddress,
  formatPrefix,
  networkOf,
  overlap,
  parseNetwork,
  parsePrefix,
} from '../../wireguard/address/prefix.ts';

describe('parsePrefix()', () => {
  test.each([
    '',
    '10.0.1',
    '10.0.1.256',
    '010.0.0.1',
    '0x7f.0.0.1',
    '10.0.0.1/33',
    '10.0.0.1/-1',
    '10.0.0.1/08',
    '10.0.0.1/',
    '10.0.0.1/8/8',
    'fd00::1/129',
    'fe80::1%eth0',
    '::ffff:10.0.0.1',
    ' 10.0.0.1',
    'cloud.example',
  ])('refuses %j, and names the field', (text) => {
    expect(() => parsePrefix(text, 'customIP')).toThrowError(/^"customIP" must/);
  });

  test('an address alone has its full length', () => {
    expect(formatPrefix(parsePrefix('10.0.1.5', 'a'))).toBe('10.0.1.5/32');
    expect(formatPrefix(parsePrefix('FD00:0::5', 'a'))).toBe('fd00::5/128');
  });

  test('what is written reads back as the same', () => {
    const v4 = fc.tuple(fc.bigInt({ min: 0n, max: 2n ** 32n - 1n }), fc.integer({ min: 0, max: 32 }));
    const v6 = fc.tuple(fc.bigInt({ min: 2n ** 49n, max: 2n ** 128n - 1n }), fc.integer({ min: 0, max: 128 }));
    fc.assert(
      fc.property(v4, ([value, bits]) => {
        expect(parsePrefix(formatPrefix({ family: 4, value, bits }), 'a')).toEqual({ family: 4, value, bits });
      }),
    );
    fc.assert(
      fc.property(v6, ([value, bits]) => {
        expect(parsePrefix(formatPrefix({ family: 6, value, bits }), 'a')).toEqual({ family: 6, value, bits });
      }),
    );
  });
});

test('parseNetwork() refuses an address inside of the network, and says which network it is in', () => {
  expect(() => parseNetwork('10.0.1.5/24', 'networkCIDR')).toThrowError(/such as 10\.0\.1\.0\/24/);
  expect(formatPrefix(parseNetwork('fd42:4242:1::/64', 'n'))).toBe('fd42:4242:1::/64');
});

test('networks contain and overlap as Python’s ipaddress says', () => {
  const texts = [
    '10.0.0.0/8',
    '10.1.0.0/16',
    '10.1.2.0/24',
    '10.1.2.3/32',
    '0.0.0.0/0',
    'fd00::/8',
    'fd00::/64',
    '::/0',
    '192.168.0.0/16',
  ];
  const script = `
import ipaddress, json, sys
nets = [ipaddress.ip_network(t) for t in json.loads(sys.argv[1])]
print(json.dumps([[[a.version == b.version and b.subnet_of(a), a.version == b.version and a.overlaps(b)] for b in nets] for a in nets]))`;
  const said = JSON.parse(execFileSync('python3', ['-c', script, JSON.stringify(texts)], { encoding: 'utf8' }));
  const prefixes = texts.map((text) => parseNetwork(text, 'n'));
  expect(prefixes.map((a) => prefixes.map((b) => [contains(a, b), overlap(a, b)]))).toEqual(said);
});

test('networkOf() clears the host bits', () => {
  expect(formatPrefix(networkOf(parsePrefix('10.0.1.5/24', 'a')))).toBe('10.0.1.0/24');
  expect(formatAddress(6, networkOf(parsePrefix('fd00::ffff/112', 'a')).value)).toBe('fd00::');
  expect(formatPrefix(networkOf(parsePrefix('255.255.255.255/0', 'a')))).toBe('0.0.0.0/0');
});

describe('canonicalPrefix()', () => {
  test.each(['10.0.1', '010.0.0.1/32', '10.0.0.256/32', 'fd00::10000/128', 'fd00::1::2/128', '/32', '::ffff:1:2/128'])(
    'refuses %j as parsePrefix() does',
    (text) => {
      expect(() => canonicalPrefix(text, 'allowed_ip')).toThrowError(/^"allowed_ip" must/);
    },
  );

  test.each([
    ['FD00:0::5', 'fd00::5/128'],
    ['fd00::0:5/128', 'fd00::5/128'],
    ['fd00:0:0:1::5/128', 'fd00:0:0:1::5/128'],
    ['fd00::1:0:0:0:5/128', 'fd00:0:0:1::5/128'],
    ['1:2:3:4:5:6::8/128', '1:2:3:4:5:6:0:8/128'],
    ['10.0.1.0/24', '10.0.1.0/24'],
  ])('writes %s as %s', (text, canonical) => {
    expect(canonicalPrefix(text, 'a')).toBe(canonical);
  });

  test('answers as a whole round would, however an address is spelled', () => {
    const group = fc.constantFrom('0', '1', 'a', '00', '0b', 'ffff', 'FD42', '4242', '');
    const spelled = fc
      .tuple(fc.array(group, { minLength: 2, maxLength: 8 }), fc.constantFrom('/128', '/64', ''))
      .map(([groups, length]) => groups.join(':') + length);
    fc.assert(
      fc.property(spelled, (text) => {
        expect(outcome(() => canonicalPrefix(text, 'a'))).toBe(outcome(() => formatPrefix(parsePrefix(text, 'a'))));
      }),
      { numRuns: 3000 },
    );
  });
});

function outcome(work: () => string): string {
  try {
    return work();
  } catch (error) {
    return (error as Error).message;
  }
}

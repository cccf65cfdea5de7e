import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chooseNetwork } from '../../../patcher/setup/network-choice.ts';
import { systemRandom } from '../../../platform/clock.ts';
import { overlap, parseNetwork, parsePrefix } from '../../../wireguard/address/prefix.ts';

const network = fc.tuple(fc.nat({ max: 0xffffffff }), fc.integer({ min: 2, max: 32 })).map(([value, bits]) => {
  const cleared = bits === 32 ? value : Math.floor(value / 2 ** (32 - bits)) * 2 ** (32 - bits);
  return `${[24, 16, 8, 0].map((shift) => (cleared >>> shift) & 255).join('.')}/${bits}`;
});

describe('chooseNetwork()', () => {
  test.each([
    'x',
    '10.71.203.0',
    '10.71.203.1/30',
    '10.71.203.0/31',
    '10.71.203.0/32',
    '10.0.0.0/7',
    'fd00::/64',
    '192.0.2.0/30',
    '127.0.0.0/30',
    '10.71.203.0/30/1',
    '',
  ])('refuses %j, which is no private network for two', (wish) => {
    expect(() => chooseNetwork(wish, [], systemRandom)).toThrow(
      expect.objectContaining({ code: 'invalid_address', exit: 2, field: 'wireguard.network' }),
    );
  });

  test.each([
    ['the same', '10.71.203.0/30'],
    ['a wider one', '10.64.0.0/10'],
    ['one address of it', '10.71.203.2/32'],
  ])('refuses one that collides with %s, and says with what', (_, taken) => {
    expect(() => chooseNetwork('10.71.203.0/30', ['192.168.1.0/24', taken], systemRandom)).toThrow(
      expect.objectContaining({
        code: 'network_collides',
        exit: 3,
        field: 'wireguard.network',
        message: `"wireguard.network" 10.71.203.0/30 collides with ${taken}`,
      }),
    );
  });

  test('takes the one that is wished for', () => {
    expect(chooseNetwork('192.168.90.0/24', ['192.168.91.0/24'], systemRandom)).toEqual({
      network: '192.168.90.0/24',
      homeAddress: '192.168.90.1',
      serverAddress: '192.168.90.2',
    });
  });

  test('finds one that touches nothing, whatever is taken', () => {
    fc.assert(
      fc.property(fc.array(network, { maxLength: 40 }), fc.array(fc.nat({ max: 0xffffffff })), (taken, numbers) => {
        const left = [...numbers];
        const random = (): Buffer => {
          const bytes = Buffer.alloc(4);
          bytes.writeUInt32BE(left.pop() ?? systemRandom(4).readUInt32BE());
          return bytes;
        };
        let found: ReturnType<typeof chooseNetwork>;
        try {
          found = chooseNetwork(undefined, taken, random);
        } catch (error) {
          // only where each of the three ranges is taken as a whole, or all but
          expect(error).toMatchObject({ code: 'network_none_free', exit: 3 });
          expect(taken.some((one) => overlap(parsePrefix(one, ''), parsePrefix('10.0.0.0/8', '')))).toBe(true);
          return;
        }
        const chosen = parseNetwork(found.network, 'network');
        expect(chosen.bits).toBe(30);
        expect(taken.filter((one) => overlap(parsePrefix(one, ''), chosen))).toEqual([]);
        expect(parsePrefix(found.homeAddress, '').value).toBe(chosen.value + 1n);
        expect(parsePrefix(found.serverAddress, '').value).toBe(chosen.value + 2n);
      }),
      { numRuns: 300 },
    );
  });

  test('keeps away from what others choose by themselves, as long as it can', () => {
    const popular = ['10.0.0.0/15', '10.8.0.0/16', '10.42.0.0/16', '10.88.0.0/16', '10.96.0.0/12', '10.244.0.0/16'];
    for (let tries = 0; tries < 300; tries++) {
      const { network: found } = chooseNetwork(undefined, [], systemRandom);
      expect(found).toMatch(/^10\..*\/30$/);
      expect(popular.filter((one) => overlap(parsePrefix(one, ''), parsePrefix(found, '')))).toEqual([]);
    }
    expect(chooseNetwork(undefined, ['10.0.0.0/8'], systemRandom).network).toMatch(/^172\.(1[6-9]|2\d|3[01])\./);
    expect(chooseNetwork(undefined, ['10.0.0.0/8', '172.16.0.0/12'], systemRandom).network).toMatch(/^192\.168\./);
    expect(() =>
      chooseNetwork(undefined, ['10.0.0.0/9', '10.128.0.0/9', '172.16.0.0/12', '192.168.0.0/16'], systemRandom),
    ).toThrow(expect.objectContaining({ code: 'network_none_free', exit: 3 }));
  });

  test('is another one each time', () => {
    const found = Array.from({ length: 20 }, () => chooseNetwork(undefined, [], systemRandom).network);
    expect(new Set(found).size).toBeGreaterThan(15);
  });
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { giveBack, initialRanges, type Range, type RangeChange, take } from '../../wireguard/address/free-ranges.ts';
import { addressesAt, capacityOf, makePool, offsetOf } from '../../wireguard/address/pool.ts';
import { parseNetwork, parsePrefix } from '../../wireguard/address/prefix.ts';

const nets = (...texts: string[]) => texts.map((text) => parseNetwork(text, 'n'));
const hub = (...texts: string[]) => texts.map((text) => parsePrefix(text, 'a'));

describe('makePool()', () => {
  test.each([
    [['10.0.0.0/31'], [], /\/8 to \/30/],
    [['0.0.0.0/7'], [], /\/8 to \/30/],
    [['fd00::/65'], [], /\/64 or shorter/],
    [['10.0.0.0/24', '10.0.1.0/24'], [], /one of IPv4 and one of IPv6/],
    [[], [], /one network/],
    [['10.0.0.0/24'], ['10.0.1.1'], /inside of the network/],
    [['10.0.0.0/24'], ['10.0.0.0'], /neither its first nor its last/],
    [['10.0.0.0/24'], ['10.0.0.255'], /neither its first nor its last/],
  ] as const)('refuses %j with the hub at %j', (networks, addresses, words) => {
    expect(() => makePool(nets(...networks), hub(...addresses))).toThrowError(words);
  });

  test.each([
    [['10.0.0.0/30'], ['10.0.0.1'], 1],
    [['10.0.1.0/24'], ['10.0.1.1'], 253],
    [['10.0.0.0/8'], ['10.0.0.1'], 16_777_213],
    [['10.0.1.0/24', 'fd00::/64'], ['10.0.1.1', 'fd00::1'], 253],
    [['10.0.1.0/24', 'fd00::/64'], ['10.0.1.1', 'fd00::2'], 252],
    [['fd00::/64'], ['fd00::1'], 4_294_967_295],
  ] as const)('%j with the hub at %j holds %i peers', (networks, addresses, most) => {
    expect(capacityOf(makePool(nets(...networks), hub(...addresses)))).toBe(most);
  });
});

describe('a pool', () => {
  const pool = makePool(nets('10.0.1.0/24', 'fd42:4242:1::/64'), hub('10.0.1.1', 'fd42:4242:1::1'));

  test('hands out a pair with one offset', () => {
    expect(addressesAt(pool, 2)).toEqual(['10.0.1.2/32', 'fd42:4242:1::2/128']);
    expect(addressesAt(pool, 254)).toEqual(['10.0.1.254/32', 'fd42:4242:1::fe/128']);
  });

  test.each([0, 255, -1, 1.5])('has nothing at offset %d', (offset) => {
    expect(() => addressesAt(pool, offset)).toThrowError(TypeError);
  });

  test.each([
    '10.0.1.0',
    '10.0.1.1',
    '10.0.1.255',
    '10.0.2.5',
    '10.0.1.5/24',
    'fd42:4242:1::1',
    'fd42:4242:1::ffff',
    'x',
  ])('refuses the wish for %s', (address) => {
    expect(() => offsetOf(pool, address, 'customIP')).toThrowError(/"customIP"/);
  });

  test('knows the offset of either address', () => {
    expect(offsetOf(pool, '10.0.1.7', 'customIP')).toBe(7);
    expect(offsetOf(pool, 'fd42:4242:1::7', 'customIP')).toBe(7);
    expect(offsetOf(pool, '10.0.1.7/32', 'customIP')).toBe(7);
  });
});

describe('free ranges', () => {
  function apply(ranges: Range[], { remove, add }: RangeChange): Range[] {
    const gone = new Set(remove.map(({ start }) => start));
    return [...ranges.filter(({ start }) => !gone.has(start)), ...add].sort((a, b) => a.start - b.start);
  }
  const around = (ranges: readonly Range[], offset: number) => ({
    below: ranges.findLast(({ start }) => start <= offset) ?? null,
    above: ranges.find(({ start }) => start > offset) ?? null,
  });

  test('begin without what is taken', () => {
    expect(initialRanges(1, 10, [])).toEqual([{ start: 1, end: 10 }]);
    expect(initialRanges(1, 10, [1])).toEqual([{ start: 2, end: 10 }]);
    expect(initialRanges(1, 10, [3, 4, 10])).toEqual([
      { start: 1, end: 2 },
      { start: 5, end: 9 },
    ]);
    expect(initialRanges(1, 1, [1])).toEqual([]);
  });

  test('take() refuses an offset of another range, giveBack() one that is free', () => {
    expect(() => take({ start: 1, end: 3 }, 4)).toThrowError(TypeError);
    expect(() => giveBack(2, { start: 1, end: 3 }, null)).toThrowError(TypeError);
    expect(() => giveBack(4, null, { start: 4, end: 5 })).toThrowError(TypeError);
  });

  test('whatever is taken and given back, they are what a set says, in as few ranges as can be', () => {
    const moves = fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 24 })), { maxLength: 80 });
    fc.assert(
      fc.property(moves, (sequence) => {
        const free = new Set(Array.from({ length: 24 }, (_, at) => at + 1));
        let ranges = initialRanges(1, 24, []);
        for (const [takes, offset] of sequence) {
          const { below, above } = around(ranges, offset);
          if (takes && free.delete(offset)) ranges = apply(ranges, take(below as Range, offset));
          else if (!takes && !free.has(offset)) {
            free.add(offset);
            ranges = apply(ranges, giveBack(offset, below, above));
          }
        }
        const listed = ranges.flatMap(({ start, end }) =>
          Array.from({ length: end - start + 1 }, (_, at) => start + at),
        );
        expect(listed).toEqual([...free].sort((a, b) => a - b));
        for (const [at, range] of ranges.entries()) {
          const next = ranges[at + 1];
          if (next !== undefined) expect(next.start).toBeGreaterThan(range.end + 1);
        }
      }),
    );
  });
});

import { expect, test } from 'vitest';
import { ChangeNews, type NewsParts } from '../../wireguard/hub/change-news.ts';
import type { Ring } from '../../wireguard/hub/doorbell.ts';
import { claimNumber, lineName } from '../../wireguard/hub/interface-claims.ts';
import { generateKeyPair } from '../../wireguard/keys.ts';

interface Side {
  readonly news: ChangeNews;
  readonly heard: Ring[];
}

/** Hubs that hear each other as those of one database do; each keeps the interfaces that it is given. */
class Channel {
  readonly said: string[] = [];
  readonly #sides: Side[] = [];
  readonly #kept = new Map<string, Side>();
  isLost = false;
  /** Who keeps an interface and says nothing. */
  isSilent = false;

  join(number: number, kept: readonly string[], change: Partial<NewsParts> = {}): Side {
    const heard: Ring[] = [];
    const news = new ChangeNews({
      id: String(number).padStart(12, '0'),
      patience: 50,
      say: async (text) => {
        if (this.isLost) throw new Error('lost');
        this.said.push(text);
        for (const one of this.#sides) void one.news.hear(text);
      },
      isKept: async (name) => this.#kept.has(name),
      answer: async (ring) => {
        heard.push(ring);
        if (!kept.includes(ring.interface)) return null;
        return this.isSilent ? new Promise(() => undefined) : true;
      },
      ...change,
    });
    const side = { news, heard };
    this.#sides.push(side);
    for (const name of kept) this.#kept.set(name, side);
    return side;
  }
}

const ring = (...publicKeys: string[]): Ring => ({ interface: 'wg1', publicKeys });
const keys = (count: number): string[] => Array.from({ length: count }, () => generateKeyPair().publicKey);

test('the hub that keeps the interface says how it took the change, and no other does', async () => {
  const channel = new Channel();
  const [here, there, third] = [channel.join(1, ['wg0']), channel.join(2, ['wg1']), channel.join(3, [])];
  expect(await here.news.tell(ring('a'))).toBe('live');
  for (const one of [there, third]) expect(one.heard).toEqual([ring('a')]);
  expect(here.heard).toEqual([]);
  expect(channel.said).toHaveLength(2);
});

test('nobody is waited for where no hub keeps the interface, and all are told', async () => {
  const channel = new Channel();
  const [here, third] = [channel.join(1, ['wg0']), channel.join(3, [])];
  expect(await here.news.tell(ring('a'))).toBe('none');
  expect(third.heard).toEqual([ring('a')]);
});

test('a hub that could not show it yet, one that says nothing and a line that is lost are all "later"', async () => {
  const channel = new Channel();
  const here = channel.join(1, []);
  channel.join(2, ['wg1']);
  channel.isSilent = true;
  expect(await here.news.tell(ring('a'))).toBe('later');
  channel.isLost = true;
  expect(await here.news.tell(ring('a'))).toBe('later');
  const other = new Channel();
  const asking = other.join(1, []);
  other.join(2, ['wg1'], { answer: async () => false });
  expect(await asking.news.tell(ring('a'))).toBe('later');
});

test('changes that come while one is under way are told together, each peer once', async () => {
  const channel = new Channel();
  const here = channel.join(1, []);
  const there = channel.join(2, ['wg1']);
  const first = here.news.tell(ring('a'));
  await Promise.resolve();
  await Promise.resolve();
  const rest = [here.news.tell(ring('b')), here.news.tell(ring('c', 'b'))];
  expect(await Promise.all([first, ...rest])).toEqual(['live', 'live', 'live']);
  expect(there.heard.flatMap(({ publicKeys }) => publicKeys).sort()).toEqual(['a', 'b', 'c']);
  expect(there.heard.length).toBeLessThan(3);
});

test.each([
  [160, 160],
  [161, 0],
  [10_000, 0],
])('%d peers are told as %d: more than a notification holds is everything', async (count, told) => {
  const channel = new Channel();
  const here = channel.join(1, []);
  const there = channel.join(2, ['wg1']);
  expect(await here.news.tell(ring(...keys(count)))).toBe('live');
  expect(there.heard.map(({ publicKeys }) => publicKeys.length)).toEqual([told]);
  for (const text of channel.said) expect(Buffer.byteLength(text)).toBeLessThan(8000);
});

test('a change of everything stays one, whatever peers come with it', async () => {
  const channel = new Channel();
  const here = channel.join(1, []);
  const there = channel.join(2, ['wg1']);
  await Promise.all([here.news.tell(ring('a')), here.news.tell(ring()), here.news.tell(ring('b'))]);
  expect(there.heard).toEqual([ring()]);
});

test('what is spread is answered by nobody', async () => {
  const channel = new Channel();
  const here = channel.join(1, []);
  const there = channel.join(2, ['wg1']);
  await here.news.spread('wg1');
  expect(there.heard).toEqual([ring()]);
  expect(channel.said).toHaveLength(1);
});

test.each([
  ['nothing', ''],
  ['no JSON', '{'],
  ['more than there is', '{"from":"000000000002","ask":1,"interface":"wg1","publicKeys":[],"endpoint":"x"}'],
  ['an id that is none', '{"from":"2","ask":1,"interface":"wg1","publicKeys":[]}'],
  ['a name that is too long', '{"from":"000000000002","ask":1,"interface":"sixteen-letters!","publicKeys":[]}'],
  ['an answer to another', '{"to":"000000000009","ask":1,"live":true}'],
  ['an answer that nobody asked for', '{"to":"000000000001","ask":7,"live":true}'],
  ['its own words', '{"from":"000000000001","ask":1,"interface":"wg1","publicKeys":[]}'],
])('%s is passed over', async (_, text) => {
  const channel = new Channel();
  const here = channel.join(1, ['wg1']);
  await here.news.hear(text);
  expect(here.heard).toEqual([]);
  expect(channel.said).toEqual([]);
});

test('the lock of an interface has a number of its own, both halves of which the database shows as they are', () => {
  const numbers = ['wg0', 'wg1', 'hidden', ''].map(claimNumber);
  expect(new Set(numbers).size).toBe(4);
  for (const number of numbers) {
    expect(number).toBeLessThan(2n ** 62n);
    expect(number).toBeGreaterThan(0n);
  }
  expect(claimNumber('wg0')).toBe(claimNumber('wg0'));
});

test('the longest name of a hub fits into what PostgreSQL keeps of it', () => {
  expect(Buffer.byteLength(lineName('x'.repeat(63), '0'.repeat(12)))).toBeLessThan(64);
});

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemRandom } from '../../platform/clock.ts';
import { openSqlite } from '../../platform/sqlite.ts';
import type { Store } from '../../platform/store.ts';
import { Vault } from '../../platform/vault/vault.ts';
import { giveBack, type Range, type RangeChange, take } from '../../wireguard/address/free-ranges.ts';
import { freeOffset, takeOffset } from '../../wireguard/store/address-book.ts';
import { insertInterface } from '../../wireguard/store/hub-interface.ts';
import { type HubDatabase, migrations } from '../../wireguard/store/schema.ts';
import { testInterface } from '../wireguard/hub-store.ts';

/** Where addresses come from. */
interface Book {
  take(count: number): Promise<number[]>;
  free(offsets: readonly number[]): Promise<void>;
}

/** Microseconds for one address. */
export interface PoolFigures {
  readonly allocations: number;
  readonly beginning: number;
  readonly middle: number;
  readonly end: number;
  readonly frees: number;
  readonly afterFrees: number;
}

const NAME = 'wg0';
const facts = testInterface({ name: NAME, networks: ['10.0.0.0/8'], addresses: ['10.0.0.1/8'] });
/** Of a /8, without its own address, the hub's and the last. */
const LAST = 2 ** 24 - 2;
/** Allocations of one transaction. */
const AT_ONCE = 500;

/** A /8 from which `allocations` are taken, and a twentieth of them given back at random; in memory, and in the store. */
export async function benchPool(
  allocations: number,
): Promise<{ readonly memory: PoolFigures; readonly store: PoolFigures }> {
  const memory = await measure(new MemoryBook(), allocations);
  const folder = mkdtempSync(join(tmpdir(), 'lk-bench-pool-'));
  const store = await openSqlite<HubDatabase>(join(folder, 'hub.db'), { migrations, create: true });
  try {
    await store.transaction((tx) => insertInterface(tx, facts, Vault.create(systemRandom), Date.now()));
    return { memory, store: await measure(new StoreBook(store), allocations) };
  } finally {
    await store.close();
    rmSync(folder, { recursive: true });
  }
}

async function measure(book: Book, allocations: number): Promise<PoolFigures> {
  const part = Math.round(allocations / 20);
  const timed = async (work: () => Promise<unknown>): Promise<number> => {
    const begun = performance.now();
    await work();
    return ((performance.now() - begun) * 1000) / part;
  };
  let first = 2;
  const expectNext = async (count: number): Promise<void> => {
    const got = await book.take(count);
    if (got.some((offset, index) => offset !== first + index)) throw new Error('not the lowest free address');
    first += count;
  };
  const beginning = await timed(() => expectNext(part));
  await expectNext(Math.round(allocations / 2) - part);
  const middle = await timed(() => expectNext(part));
  await expectNext(allocations - part - (first - 2));
  const end = await timed(() => expectNext(part));
  const given = shuffled(allocations).slice(0, part);
  const frees = await timed(() => book.free(given));
  const lowestFirst = [...given].sort((a, b) => a - b);
  const afterFrees = await timed(async () => {
    const got = await book.take(part);
    if (got.some((offset, index) => offset !== lowestFirst[index])) throw new Error('not the lowest free address');
  });
  return { allocations, beginning, middle, end, frees, afterFrees };
}

/** Offsets from 2 on, in an order that is the same each time. */
function shuffled(count: number): number[] {
  const list = Array.from({ length: count }, (_, index) => index + 2);
  let state = 12_345;
  for (let at = count - 1; at > 0; at--) {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    const other = state % (at + 1);
    [list[at], list[other]] = [list[other] ?? 0, list[at] ?? 0];
  }
  return list;
}

class StoreBook implements Book {
  readonly #store: Store<HubDatabase>;

  constructor(store: Store<HubDatabase>) {
    this.#store = store;
  }

  async take(count: number): Promise<number[]> {
    const taken: number[] = [];
    while (taken.length < count) {
      const some = Math.min(AT_ONCE, count - taken.length);
      const got = await this.#store.transaction(async (tx) => {
        const offsets: number[] = [];
        for (let number = 0; number < some; number++) offsets.push(await takeOffset(tx, NAME, null));
        return offsets;
      });
      taken.push(...got);
    }
    return taken;
  }

  async free(offsets: readonly number[]): Promise<void> {
    for (let at = 0; at < offsets.length; at += AT_ONCE) {
      await this.#store.transaction(async (tx) => {
        for (const offset of offsets.slice(at, at + AT_ONCE)) await freeOffset(tx, NAME, offset);
      });
    }
  }
}

/** A stand-in for the store's table: the free ranges in a sorted list. */
class MemoryBook implements Book {
  readonly #ranges: Range[] = [{ start: 2, end: LAST }];

  async take(count: number): Promise<number[]> {
    return Array.from({ length: count }, () => {
      const lowest = this.#ranges[0];
      if (lowest === undefined) throw new Error('nothing is free');
      this.#carryOut(0, take(lowest, lowest.start));
      return lowest.start;
    });
  }

  async free(offsets: readonly number[]): Promise<void> {
    for (const offset of offsets) {
      const at = this.#firstAbove(offset);
      const [below, above] = [this.#ranges[at - 1] ?? null, this.#ranges[at] ?? null];
      const change = giveBack(offset, below, above);
      this.#carryOut(below !== null && change.remove.includes(below) ? at - 1 : at, change);
    }
  }

  #carryOut(at: number, { remove, add }: RangeChange): void {
    this.#ranges.splice(at, remove.length, ...add);
  }

  #firstAbove(offset: number): number {
    let [low, high] = [0, this.#ranges.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ranges[middle]?.start ?? 0) > offset) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { gapFrom, keepMark, loadOwnTime, markEvery, OwnTime } from '../../keyserver/presence/own-time.ts';
import { makeTestData, type TestData } from './test-data.ts';

const start = 1_000_000;

describe('OwnTime', () => {
  test('has no gap while marks come in time', () => {
    const own = new OwnTime(start, []);
    for (let n = 1; n <= 5; n++) expect(own.mark(start + n * markEvery)).toBeNull();
    expect(own.gaps(start + 5 * markEvery + gapFrom - 1)).toEqual([]);
  });

  test('tells of a sleep that no mark has ended yet', () => {
    const own = new OwnTime(start, []);
    expect(own.gaps(start + gapFrom)).toEqual([{ since: start, until: start + gapFrom }]);
  });

  test('keeps a gap that a mark has ended', () => {
    const own = new OwnTime(start, []);
    const gap = { since: start, until: start + 600_000 };
    expect(own.mark(start + 600_000)).toEqual(gap);
    expect(own.mark(start + 600_000 + markEvery)).toBeNull();
    expect(own.gaps(start + 700_000)).toEqual([gap]);
  });

  test('makes no gap of a clock that was set back', () => {
    const own = new OwnTime(start, []);
    expect(own.mark(start - 600_000)).toBeNull();
    expect(own.gaps(start - 600_000)).toEqual([]);
  });
});

describe('in the database', () => {
  let made: TestData;

  beforeAll(async () => {
    made = await makeTestData();
  });

  afterAll(() => made.remove());

  test('a server that never ran has no gap, and one that was down has one from its last mark on', async () => {
    const { store } = made.data;
    expect((await store.read((tx) => loadOwnTime(tx, start))).gaps(start)).toEqual([]);
    await store.transaction((tx) => keepMark(tx, start, []));
    const back = start + 3_600_000;
    const own = await store.read((tx) => loadOwnTime(tx, back));
    const gap = own.mark(back);
    expect(gap).toEqual({ since: start, until: back });
    await store.transaction((tx) => keepMark(tx, back, gap === null ? [] : [gap]));
    expect((await store.read((tx) => loadOwnTime(tx, back))).gaps(back)).toEqual([gap]);
  });

  test('gaps older than a month are dropped', async () => {
    const { store } = made.data;
    const later = start + 40 * 86_400_000;
    await store.transaction((tx) => keepMark(tx, later, [{ since: later - 1000, until: later }]));
    expect(await store.read((tx) => tx.selectFrom('own_gap').selectAll().execute())).toHaveLength(1);
  });
});

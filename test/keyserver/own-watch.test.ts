import { afterEach, expect, test, vi } from 'vitest';
import type { Custody } from '../../keyserver/custody.ts';
import { loadOwnTime, markEvery, OwnTime } from '../../keyserver/presence/own-time.ts';
import { startOwnWatch } from '../../keyserver/presence/own-watch.ts';
import { makeTestData, someMoment, type TestData } from './test-data.ts';

let made: TestData | null = null;

afterEach(async () => {
  vi.useRealTimers();
  await made?.remove();
  made = null;
});

/** What the watch needs of a custody. */
function custodyOf(data: TestData, ownTime: OwnTime): { custody: Custody; errors: unknown[] } {
  const errors: unknown[] = [];
  const log = { error: (fields: unknown) => errors.push(fields) };
  return { custody: { store: data.data.store, clock: data.clock, ownTime, log } as unknown as Custody, errors };
}

/** Lets one interval pass, and what it started end. */
async function interval(data: TestData): Promise<void> {
  data.clock.set(data.clock.now() + markEvery);
  await vi.advanceTimersByTimeAsync(markEvery);
  await data.data.store.transaction(async () => undefined); // behind the one of the mark
}

test('marks go on while the network is there, stop while it is not, and the gap is on disk when it is back', async () => {
  made = await makeTestData();
  const { store } = made.data;
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const own = new OwnTime(someMoment, []);
  const { custody, errors } = custodyOf(made, own);
  let isConnected = true;
  const watch = startOwnWatch(custody, async () => isConnected);
  for (let n = 0; n < 4; n++) await interval(made);
  expect(own.gaps(made.clock.now())).toEqual([]);
  const lost = made.clock.now();
  isConnected = false;
  for (let n = 0; n < 10; n++) await interval(made);
  expect(own.gaps(made.clock.now())).toEqual([{ since: lost, until: made.clock.now() }]);
  isConnected = true;
  await interval(made);
  const back = made.clock.now();
  await watch.stop();
  const onDisk = await store.read((tx) => loadOwnTime(tx, back));
  expect(onDisk.gaps(back)).toEqual([{ since: lost, until: back }]);
  expect(errors).toEqual([]);
});

test('a gap that could not be written is written with the next mark', async () => {
  made = await makeTestData();
  const { store } = made.data;
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const own = new OwnTime(someMoment - 3_600_000, []);
  const { custody, errors } = custodyOf(made, own);
  let isFull = true;
  const failing: Custody['store'] = {
    ...store,
    transaction: (work) => (isFull ? Promise.reject(new Error('disk full')) : store.transaction(work)),
  };
  const watch = startOwnWatch({ ...custody, store: failing }, async () => true);
  await interval(made);
  expect(errors.length).toBeGreaterThan(0);
  isFull = false;
  await interval(made);
  await watch.stop();
  const onDisk = await store.read((tx) => loadOwnTime(tx, someMoment));
  expect(onDisk.gaps(someMoment)).toEqual([{ since: someMoment - 3_600_000, until: someMoment }]);
});

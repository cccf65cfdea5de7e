import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HeardBook, heardDays, heardSlot, presenceOf, unwatchedSlots } from '../../keyserver/admin/heard.ts';
import { none, reach, stretch, sum, Timeline } from '../../keyserver/admin/timeline.ts';
import { type TimelineFacts, timelinePicture, timelineWords } from '../../keyserver/admin/timeline-picture.ts';
import { lengthWords } from '../../keyserver/admin/words.ts';
import { appendAudit } from '../../platform/audit-chain.ts';
import { makeTestData, type TestData } from './test-data.ts';

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const now = Date.UTC(2026, 10, 20, 12, 2);

let test: TestData;
let cloud: string;
let other: string;
beforeAll(async () => {
  test = await makeTestData();
  cloud = (await test.add()).clientId;
  other = (await test.add({ name: 'other' })).clientId;
});
afterAll(() => test.remove());

/** Releases, denials, forks. */
function total(timeline: Timeline, client: string): number[] {
  const { releases, denials, forks } = [...timeline.countsOf(client).values()].reduce(sum, none);
  return [releases, denials, forks];
}

describe('Timeline', () => {
  const append = (time: number, event: string, client: string | null, detail: Record<string, string | number> = {}) =>
    test.data.store.transaction((tx) => appendAudit(tx, { time, event, ...(client !== null && { client }), detail }));

  it('counts the last 30 days of each client, and what comes later once', async () => {
    await append(now - reach - hour, 'key_released', cloud);
    await append(now - reach + hour, 'key_released', cloud);
    await append(now - hour, 'key_released', cloud);
    await append(now - hour, 'key_released', other);
    await append(now - hour, 'request_denied', cloud, { code: 'unauthorized' });
    await append(now - hour, 'denials_counted', cloud, { of: 'request_denied', code: 'unauthorized', count: 7 });
    await append(now - hour, 'denials_counted', cloud, { of: 'others', code: 'others', count: 100 });
    await append(now - hour, 'fork_detected', cloud);
    await append(now - hour, 'request_denied', null, { code: 'unauthorized' });
    const timeline = new Timeline(test.data.store);
    expect(await timeline.catchUp(now)).toBe(true);
    expect(total(timeline, cloud)).toEqual([2, 8, 1]);
    expect(total(timeline, other)).toEqual([1, 0, 0]);
    await append(now, 'key_released', cloud);
    await timeline.catchUp(now);
    await Promise.all([timeline.catchUp(now), timeline.catchUp(now)]);
    expect(total(timeline, cloud)).toEqual([3, 8, 1]);
    expect(timeline.countsOf('lk-nobody').size).toBe(0);
  });

  it('does not count a held request as denied: the approvals tell of it', async () => {
    const before = new Timeline(test.data.store);
    await before.catchUp(now);
    await append(now, 'request_denied', cloud, { code: 'approval_pending' });
    await append(now, 'denials_counted', cloud, { of: 'request_denied', code: 'approval_pending', count: 30 });
    const after = new Timeline(test.data.store);
    await after.catchUp(now);
    expect(total(after, cloud)).toEqual(total(before, cloud));
  });

  it('forgets what gets older than 30 days', async () => {
    const timeline = new Timeline(test.data.store);
    await timeline.catchUp(now);
    await timeline.catchUp(now + reach + 2 * hour);
    expect(total(timeline, cloud)).toEqual([0, 0, 0]);
  });

  it('does not make a page wait for a log without end, and has read it all in the end', async () => {
    const records = 21_000;
    for (let from = 0; from < records; from += 3_000) {
      await test.data.store.transaction(async (tx) => {
        for (let index = 0; index < 3_000; index++)
          await appendAudit(tx, { time: now, event: 'key_released', client: other });
      });
    }
    const timeline = new Timeline(test.data.store);
    expect(await timeline.catchUp(now)).toBe(false);
    const early = total(timeline, other)[0];
    expect(early).toBeGreaterThan(10_000);
    expect(early).toBeLessThan(records);
    await timeline.settled();
    expect(total(timeline, other)[0]).toBe(records + 1);
    expect(await timeline.catchUp(now)).toBe(true);
  });
});

describe('what was heard', () => {
  const hear = async (book: HeardBook, at: number): Promise<void> => {
    await test.data.store.transaction((tx) =>
      tx.updateTable('pulse').set({ heard_at: at }).where('client_id', '=', cloud).execute(),
    );
    await book.note(test.data.store, at + 1000);
  };
  const presence = async (from: number, until: number) => {
    const days = await test.data.store.read((tx) => heardDays(tx, [cloud], from));
    return presenceOf(days.get(cloud) ?? new Map(), new Set(), { since: from, until });
  };
  const start = Date.UTC(2026, 10, 19, 23, 30);

  it('is kept in stretches of five minutes, over midnight and over restarts', async () => {
    for (const minutes of [0, 1, 6, 11, 25, 30, 35]) await hear(new HeardBook(), start + minutes * minute);
    expect(await presence(start - hour, start + 40 * minute)).toEqual([
      { kind: 'heard', since: start, until: start + 15 * minute },
      { kind: 'silent', since: start + 15 * minute, until: start + 25 * minute },
      { kind: 'heard', since: start + 25 * minute, until: start + 40 * minute },
    ]);
    const rows = await test.data.store.read((tx) => tx.selectFrom('heard_day').selectAll().execute());
    expect(rows.map((row) => row.slots.length)).toEqual([72, 72]);
  });

  it('is not written twice, nor when there is nothing new', async () => {
    const book = new HeardBook();
    await hear(book, start + 36 * minute);
    const writes: unknown[] = [];
    const counting: typeof test.data.store = {
      ...test.data.store,
      read: (work) => test.data.store.read(work),
      transaction: (work) => {
        writes.push(work);
        return test.data.store.transaction(work);
      },
    };
    await book.note(counting, start + 37 * minute);
    await book.note(counting, start + 2 * hour);
    expect(writes).toEqual([]);
  });

  it('is dropped after a month', async () => {
    await hear(new HeardBook(), start + 40 * day);
    const rows = await test.data.store.read((tx) => tx.selectFrom('heard_day').select('day').execute());
    expect(rows.map((row) => row.day)).toEqual([Math.floor((start + 40 * day) / day)]);
  });

  it('says when nobody listened, and does not call that silence', () => {
    const slot = Math.floor(start / heardSlot);
    const bit = (index: number) => (8 >> (index % 4)).toString(16);
    const first = slot % 288;
    const slots = `${'0'.repeat(Math.floor(first / 4))}${bit(first)}${'0'.repeat(71 - Math.floor(first / 4))}`;
    const days = new Map([[Math.floor(start / day), slots]]);
    const gaps = [{ since: start + 6 * minute, until: start + 9 * minute }];
    const span = { since: start - hour, until: start + 21 * minute };
    const runs = presenceOf(days, unwatchedSlots(gaps, span), span);
    expect(runs.map(({ kind }) => kind)).toEqual(['heard', 'unwatched', 'silent']);
  });

  it('is a line without holes from the first heartbeat on', () => {
    const anyDay = fc.stringMatching(/^[0-9a-f]{72}$/);
    fc.assert(
      fc.property(fc.array(anyDay, { maxLength: 3 }), (texts) => {
        const from = Math.floor(now / day) - 3;
        const days = new Map(texts.map((text, index) => [from + index, text]));
        const runs = presenceOf(days, new Set(), { since: from * day, until: now });
        for (const [index, run] of runs.entries()) {
          expect(run.until).toBeGreaterThan(run.since);
          if (index > 0) expect(run.since).toBe(runs[index - 1]?.until);
          if (index > 0) expect(run.kind).not.toBe(runs[index - 1]?.kind);
        }
        expect(runs[0]?.kind ?? 'heard').toBe('heard');
        const bits = texts.join('').replace(/./g, (digit) => Number.parseInt(digit, 16).toString(2).padStart(4, '0'));
        const heard = runs.filter(({ kind }) => kind === 'heard').reduce((all, run) => all + run.until - run.since, 0);
        expect(heard).toBe((bits.match(/1/g)?.length ?? 0) * heardSlot);
      }),
      { numRuns: 30 },
    );
  });
});

describe('timelinePicture()', () => {
  const at = (time: number) => Math.floor(time / stretch);
  const facts: TimelineFacts = {
    counts: new Map([
      [at(now - 2 * hour), { releases: 3, denials: 40, forks: 0 }],
      [at(now - hour), { releases: 0, denials: 0, forks: 1 }],
      [at(now - 3 * day), { releases: 9, denials: 0, forks: 0 }],
    ]),
    holds: [now - 10 * minute, now - 2 * day],
    presence: [
      { kind: 'heard', since: now - 5 * day, until: now - 6 * hour },
      { kind: 'silent', since: now - 6 * hour, until: now - 5 * hour },
      { kind: 'unwatched', since: now - 5 * hour, until: now - 4 * hour },
    ],
  };
  const marks = (text: string, name: string) => text.match(new RegExp(`class="${name}"`, 'g'))?.length ?? 0;

  it('says in words what it shows', () => {
    expect(timelineWords(facts, '24h', now)).toBe(
      'Last 24 hours: 3 releases, 40 denials, 1 held for approval, 1 fork, silent 1 time, at most 1 h.',
    );
    expect(timelineWords(facts, '7d', now)).toContain('12 releases, 40 denials, 2 held');
    const empty = { counts: new Map(), holds: [], presence: [] };
    expect(timelineWords(empty, '30d', now)).toBe('Last 30 days: 0 releases, 0 denials, no fork, not heard.');
  });

  it('has a mark for each, in the time it is of', () => {
    const { text } = timelinePicture(facts, '24h', now, 'a');
    const found = ['release', 'denial', 'hold', 'fork', 'heard', 'silent', 'unwatched'].map((name) =>
      marks(text, name),
    );
    expect(found).toEqual([1, 1, 1, 1, 1, 1, 1]);
    expect(marks(timelinePicture(facts, '7d', now, 'a').text, 'release')).toBe(2);
    expect(text).toContain('aria-labelledby="a"');
    expect(text).toContain('<figcaption id="a">');
  });

  it('draws nothing outside of itself, whatever the counts', () => {
    const some = fc.record({ releases: fc.nat(), denials: fc.nat(), forks: fc.nat(2) });
    const counts = fc.array(fc.tuple(fc.integer({ min: at(now) - 4000, max: at(now) + 3 }), some), { maxLength: 20 });
    const holds = fc.array(fc.integer({ min: now - 40 * day, max: now }), { maxLength: 3 });
    fc.assert(
      fc.property(counts, holds, fc.constantFrom('24h', '7d', '30d'), (list, held, range) => {
        const { text } = timelinePicture({ counts: new Map(list), holds: held, presence: [] }, range, now, 'a');
        expect(text).not.toMatch(/NaN|Infinity|undefined/);
        for (const [, x, y, width, height] of text.matchAll(
          /<rect class="\w+" x="(.+?)" y="(.+?)" width="(.+?)" height="(.+?)"/g,
        )) {
          expect(Number(x)).toBeGreaterThanOrEqual(0);
          expect(Number(x) + Number(width)).toBeLessThanOrEqual(360.02);
          expect(Number(y)).toBeGreaterThanOrEqual(17.99);
          expect(Number(y) + Number(height)).toBeLessThanOrEqual(74.01);
        }
      }),
    );
  });
});

it('lengthWords() names the two largest units', () => {
  const cases: [number, string][] = [
    [0, 'under a minute'],
    [59_999, 'under a minute'],
    [minute, '1 min'],
    [hour + 59_000, '1 h'],
    [hour + 5 * minute, '1 h 5 min'],
    [day + 5 * minute, '1 day'],
    [2 * day + 3 * hour + minute, '2 days 3 h'],
    [-5, 'under a minute'],
  ];
  for (const [ms, words] of cases) expect(lengthWords(ms)).toBe(words);
});

import { expect, test } from 'vitest';
import { DenialLog, denialWindow } from '../../platform/denials.ts';

const denial = { event: 'request_denied', source: '10.0.0.1', code: 'unauthorized', reason: 'wrong token' };

test('the first of a sort is to be recorded, those within its minute are counted', () => {
  const log = new DenialLog();
  expect(log.note(denial, 0)).toBe(true);
  for (let n = 1; n <= 5; n++) expect(log.note(denial, n)).toBe(false);
  expect(log.take(denialWindow - 1)).toEqual([]);
  expect(log.take(denialWindow)).toEqual([
    {
      time: denialWindow,
      event: 'denials_counted',
      source: '10.0.0.1',
      reason: 'wrong token',
      detail: { of: 'request_denied', code: 'unauthorized', count: 5, since: 0, until: 5 },
    },
  ]);
  expect(log.note(denial, denialWindow)).toBe(true);
});

test('another source, client, code, reason or event is another sort', () => {
  const log = new DenialLog();
  log.note(denial, 0);
  const others = [
    { ...denial, source: '10.0.0.2' },
    { ...denial, client: 'lk-1' },
    { ...denial, code: 'locked' },
    { ...denial, reason: 'unknown client' },
    { ...denial, event: 'server_rollback_suspected' },
  ];
  for (const other of others) expect(log.note(other, 0)).toBe(true);
});

test('a sort that came once leaves no count', () => {
  const log = new DenialLog();
  log.note(denial, 0);
  expect(log.take(denialWindow)).toEqual([]);
});

test('a stop takes every count at once', () => {
  const log = new DenialLog();
  log.note(denial, 0);
  log.note(denial, 1);
  expect(log.take(2, true)).toHaveLength(1);
  expect(log.take(3, true)).toEqual([]);
});

test('sorts beyond the limit are counted together', () => {
  const log = new DenialLog(2);
  for (let n = 0; n < 10; n++) expect(log.note({ ...denial, source: `10.0.0.${n}` }, n)).toBe(n < 2);
  const taken = log.take(denialWindow * 2);
  expect(taken).toHaveLength(1);
  expect(taken[0]).toMatchObject({ reason: 'others', detail: { count: 8, since: 2, until: 9 } });
});

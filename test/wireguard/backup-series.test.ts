import { describe, expect, it } from 'vitest';
import { isSeriesName, type RecordedBackup, seriesName, surplus } from '../../wireguard/backup/backup-series.ts';

const NOW = Date.UTC(2026, 0, 31, 2, 3, 4, 567);

describe('seriesName()', () => {
  it('is of the hub and the second, and nothing a shell or a folder would stumble over', () => {
    expect(seriesName('hub', NOW, false)).toBe('wghub-hub-20260131T020304Z.backup');
    expect(seriesName('../my hub’s/$x', NOW, true)).toBe('wghub-.._my_hub_s__x-20260131T020304Z.backup.age');
  });
  it.each([
    'wghub-hub-20260131T020304Z.backup.partial',
    'wghub-hub-2026.backup',
    'wghub-hub-a-20260131T020304Z.backup',
    'wghub-other-20260131T020304Z.backup',
    'xwghub-hub-20260131T020304Z.backup',
    'wghub-hub-20260131T020304Z.backup.gpg',
  ])('isSeriesName() does not take %s for one', (name) => expect(isSeriesName('hub', name)).toBe(false));
  it.each([true, false])('isSeriesName() knows its own (age: %s)', (isAge) => {
    expect(isSeriesName('my hub', seriesName('my hub', NOW, isAge))).toBe(true);
  });
});

describe('surplus()', () => {
  const made = (madeAt: number): RecordedBackup => ({ file: `${madeAt}`, madeAt, size: 1, sha256: 'x' });
  it('is none while there are as many as are kept, and else the oldest', () => {
    expect(surplus([made(1), made(3), made(2)], 3)).toEqual([]);
    expect(surplus([made(1), made(3), made(2)], 1)).toEqual([made(2), made(1)]);
  });
});

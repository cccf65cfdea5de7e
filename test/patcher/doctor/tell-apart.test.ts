import { expect, test } from 'vitest';
import { tellApart } from '../../../patcher/doctor/copies-probe.ts';

const live = [
  { kind: 'live', value: '8:10:1/3000 2026-11-01 10:00:00.123456789 +0000', path: '/data/k/master_1.privateKey' },
  { kind: 'live', value: '8:11:2/900 2026-11-01 10:00:00.200000000 +0000', path: '/html/config/config.php' },
];
const key = (value: string, path = '/elsewhere/master_1.privateKey') => ({ kind: 'key', value, path });

test('the file in use is no copy, by its own path or through a bind mount', () => {
  const seen = [key('8:10:1/3000 2026-11-01 10:00:00.123456789 +0000', '/data/k/master_1.privateKey')];
  expect(tellApart(seen, live).copies('key')).toEqual([]);
  expect(tellApart([key('8:10:1/3000 2026-11-01 10:00:00.123456789 +0000')], live)).toMatchObject({ twice: [] });
  expect(tellApart([key('8:10:1/3000 2026-11-01 10:00:00.123456789 +0000')], live).copies('key')).toEqual([]);
});

test('a hard link stays when the file in use is removed: it is a copy', () => {
  const seen = [
    { kind: 'config', value: '8:11:2/900 2026-11-01 10:00:00.200000000 +0000', path: '/rsnapshot/config.php' },
  ];
  expect(tellApart(seen, live).copies('config')).toEqual(['/rsnapshot/config.php']);
});

test('what another file system shows with the same size and moment is told apart by people', () => {
  const seen = [key('9:77:1/3000 2026-11-01 10:00:00.123456789 +0000')];
  expect(tellApart(seen, live).copies('key')).toEqual([]);
  expect(tellApart(seen, live).twice).toEqual(['/elsewhere/master_1.privateKey']);
});

test('everything else is a copy, once by each path', () => {
  const copy = key('8:99:1/3000 2026-11-01 10:00:00.123456780 +0000');
  const answer = tellApart([copy, copy], live);
  expect(answer.copies('key')).toEqual(['/elsewhere/master_1.privateKey']);
  expect(answer.twice).toEqual([]);
});

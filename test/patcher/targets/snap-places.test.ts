import { describe, expect, test } from 'vitest';
import { isRevision, snapPlaces } from '../../../patcher/targets/snap-places.ts';

describe('snapPlaces()', () => {
  const places = snapPlaces(['51000', '51200', 'x1', 'common', 'current'], '51200');
  const paths = places.map(({ path }) => path);

  test('names config.php of every kept revision, and not the one in use', () => {
    expect(places.filter(({ holds }) => holds === 'config').map(({ path }) => path)).toEqual([
      '/var/snap/nextcloud/51000/nextcloud/config',
      '/var/snap/nextcloud/x1/nextcloud/config',
    ]);
  });

  test('takes neither "common" nor "current" for a revision', () => {
    expect(paths.filter((path) => /\/(common|current)\/(nextcloud|logs)/.test(path))).toEqual([]);
  });

  test('knows a snapshot of this snap from those of others', () => {
    const names = places.find(({ path }) => path === '/var/lib/snapd/snapshots')?.names;
    expect(names?.test('12_nextcloud_33.0.1snap1_51200.zip')).toBe(true);
    expect(names?.test('12_lxd_5.0_24322.zip')).toBe(false);
    expect(names?.test('12_nextcloud-client_5.0_24322.zip')).toBe(false);
  });
});

test('isRevision() takes what snapd numbers, and nothing that leads elsewhere', () => {
  expect(['1', '51000', 'x1', 'x12'].every(isRevision)).toBe(true);
  expect(['0', 'x0', 'x', '', '../x', '1 ', 'common', '12345678901'].some(isRevision)).toBe(false);
});

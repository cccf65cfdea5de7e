import { describe, expect, test } from 'vitest';
import type { SnapFacts } from '../../../patcher/facts.ts';
import { obstaclesOf } from '../../../patcher/obstacles.ts';
import { planFor } from '../../../patcher/plan.ts';
import type { SnapRevision } from '../../../patcher/targets/snap-list.ts';
import { refuseNewRevision, usableRevision } from '../../../patcher/targets/snap-state.ts';
import { exampleFacts } from '../example-facts.ts';

const revision = (changes: Partial<SnapRevision> = {}): SnapRevision => ({
  name: 'nextcloud',
  version: '33.0.6snap1',
  revision: '52034',
  tracking: 'latest/stable',
  notes: [],
  ...changes,
});
const services = (php: string): string =>
  `Service Startup Current Notes\nnextcloud.php-fpm enabled ${php} -\nnextcloud.logrotate enabled inactive timer-activated\n`;

describe('usableRevision()', () => {
  test.each([
    ['snap_parallel_instance', [revision({ name: 'nextcloud_two' })]],
    ['snap_disabled', [revision({ notes: ['disabled'] }), revision({ revision: '51000', notes: ['disabled'] })]],
    ['snap_broken', [revision({ notes: ['broken'] })]],
  ])('refuses with %s', (code, revisions) => {
    expect(() => usableRevision(revisions, services('active'))).toThrow(expect.objectContaining({ code, exit: 3 }));
  });

  test('refuses a snap whose PHP is stopped, for which occ would wait for ever', () => {
    expect(() => usableRevision([revision()], services('inactive'))).toThrow(
      expect.objectContaining({ code: 'snap_services_stopped', message: expect.stringContaining('php-fpm') }),
    );
  });

  test('takes the one revision that is not disabled', () => {
    const both = [revision({ revision: '51000', notes: ['disabled'] }), revision({ notes: ['held'] })];
    expect(usableRevision(both, services('active')).revision).toBe('52034');
  });
});

describe('refuseNewRevision()', () => {
  const mark = (current: string, ...revisions: string[]) => ({
    current: [`/snap/nextcloud/${current}`, `/var/snap/nextcloud/${current}`],
    revisions,
  });

  test('refuses when "current" leads elsewhere, forth or back', () => {
    for (const [before, now] of [
      ['51000', '52034'],
      ['52034', '51000'],
    ] as const) {
      expect(() => refuseNewRevision(mark(before, '51000', '52034'), mark(now, '51000', '52034'))).toThrow(
        expect.objectContaining({
          code: 'revision_changed',
          message: `the snap went from revision ${before} to ${now} while this was at work`,
        }),
      );
    }
  });

  test('refuses when the data of a new revision is being copied', () => {
    expect(() => refuseNewRevision(mark('51000', '51000'), mark('51000', '51000', '52034'))).toThrow(
      expect.objectContaining({ code: 'revision_changed', message: expect.stringContaining('52034') }),
    );
  });

  test('does not mind that an old revision goes', () => {
    refuseNewRevision(mark('52034', '51000', '52034'), mark('52034', '52034'));
  });
});

const snapFacts = (changes: Partial<SnapFacts> = {}): SnapFacts => ({
  version: '33.0.6snap1',
  revision: '52034',
  tracking: 'latest/stable',
  notes: [],
  held: 'snap',
  otherRevisions: [],
  copies: [],
  ...changes,
});
const EXTRA = '/var/snap/nextcloud/current/nextcloud/extra-apps';
const STATE = '/var/snap/nextcloud/common/latchkey/oc1234567890';
const facts = (changes: Partial<SnapFacts> = {}, more: Parameters<typeof exampleFacts>[0] = {}) =>
  exampleFacts({
    target: 'snap',
    root: '/snap/nextcloud/current/htdocs',
    owner: { user: 'root', group: 'root' },
    appsPaths: [
      { path: '/snap/nextcloud/current/htdocs/apps', url: '/apps', writable: false },
      { path: EXTRA, url: '/extra-apps', writable: true },
    ],
    appsPathsConfigured: true,
    stateFolder: { path: STATE, exists: false, owner: null, mode: null },
    heartbeat: { via: 'machine', user: 'root' },
    snap: snapFacts(changes),
    ...more,
  });
const codes = (given: ReturnType<typeof facts>): string[] => obstaclesOf(given).map(({ code }) => code);

describe('obstaclesOf() a snap', () => {
  test('finds none in one that is held and in order', () => {
    expect(obstaclesOf(facts())).toEqual([]);
  });

  test('blocks where config.php names the folder of one revision', () => {
    const path = '/var/snap/nextcloud/51000/nextcloud/extra-apps';
    const pinned = facts({}, { appsPaths: [{ path, url: '/extra-apps', writable: true }] });
    expect(obstaclesOf(pinned)).toMatchObject([{ code: 'apps_path_of_one_revision', blocking: true }]);
  });

  test('blocks where the state folder would go back with "snap revert"', () => {
    for (const path of ['/var/snap/nextcloud/current/latchkey/oc1', '/var/snap/nextcloud/51000/latchkey/oc1']) {
      const wrong = facts({}, { stateFolder: { path, exists: true, owner: 'root', mode: '0700' } });
      expect(obstaclesOf(wrong)).toMatchObject([{ code: 'state_of_one_revision', blocking: true }]);
    }
  });

  test('notes refreshes that are not held, devmode, and Redis as the local cache', () => {
    expect(codes(facts({ held: null }))).toEqual(['snap_not_held']);
    expect(codes(facts({ notes: ['devmode'] }))).toEqual(['snap_devmode']);
    expect(codes(facts({ notes: ['try'] }))).toEqual(['snap_try']);
    const redis = { local: '\\OC\\Memcache\\Redis', distributed: null, locking: '\\OC\\Memcache\\Redis' };
    expect(codes(facts({}, { caches: redis }))).toEqual(['cache_is_redis']);
  });

  test('speaks of copies only once a key is to leave', () => {
    const copies = [{ path: '/var/snap/nextcloud/51000/nextcloud/config', words: 'revision 51000', hint: 'remove it' }];
    expect(codes(facts({ copies }))).toEqual([]);
    const { app } = facts();
    expect(codes(facts({ copies }, { app: { ...app, state: 'enrolled' } }))).toEqual(['snap_keeps_copies']);
  });
});

describe('planFor() a snap', () => {
  const wanted = { app: { version: '1.0.0', content: { 'appinfo/info.xml': 'aa' } }, heartbeat: '#!/bin/sh\n' };

  test('puts the app into extra-apps and the state below "common", folder by folder', () => {
    const { steps } = planFor(facts(), wanted);
    expect(steps.filter(({ kind }) => kind === 'make_folder')).toMatchObject([
      { path: '/var/snap/nextcloud/common/latchkey', owner: 'root', mode: 0o700 },
      { path: STATE, mode: 0o700 },
    ]);
    expect(steps.find(({ kind }) => kind === 'deploy_app')).toMatchObject({ path: `${EXTRA}/remotekeystorage` });
  });
});

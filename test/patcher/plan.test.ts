import { describe, expect, test } from 'vitest';
import type { Facts } from '../../patcher/facts.ts';
import { timerFilesFor } from '../../patcher/heartbeat-timer.ts';
import { obstaclesOf, refuseObstacles } from '../../patcher/obstacles.ts';
import { planFor, type Wanted } from '../../patcher/plan.ts';
import { removalFor } from '../../patcher/removal.ts';
import { exampleFacts } from './example-facts.ts';

const WANTED: Wanted = {
  app: { version: '1.0.0', content: { 'appinfo/info.xml': 'aa', 'lib/A.php': 'bb' } },
  heartbeat: '#!/bin/sh\n',
};
const APP = '/var/www/nextcloud/apps/remotekeystorage';

function kinds(facts: Facts): string[] {
  return planFor(facts, WANTED).steps.map((step) => step.kind);
}

/** The facts after the plan for `exampleFacts()` was carried out. */
function settled(changes: Partial<Facts> = {}): Facts {
  const facts = exampleFacts(changes);
  const stateFolder = { ...facts.stateFolder, exists: true, owner: 'www-data', mode: '0700' };
  const timerFiles = timerFilesFor(facts.scheduler, {
    instanceId: facts.instanceId,
    way: { via: 'machine', user: 'www-data' },
    script: WANTED.heartbeat,
    stateFolder: stateFolder.path,
  });
  return {
    ...facts,
    stateFolder,
    timerFiles,
    app: {
      state: 'enabled',
      enabled: true,
      installedVersion: '1.0.0',
      files: { path: APP, version: '1.0.0', content: WANTED.app.content },
    },
    ...changes,
  };
}

const app = (changes: Partial<Facts['app']>): Partial<Facts> => ({ app: { ...settled().app, ...changes } });

describe('planFor()', () => {
  test('does everything on an untouched server, files before the database and the timer', () => {
    expect(kinds(exampleFacts())).toEqual(['make_folder', 'deploy_app', 'enable_app', 'write_file', 'write_file']);
  });

  test('does nothing where everything is as wanted', () => {
    expect(kinds(settled())).toEqual([]);
  });

  test('brings back files that an upgrade took, and nothing else', () => {
    expect(kinds(settled(app({ files: null })))).toEqual(['deploy_app']);
  });

  test('switches the app on again after an upgrade switched it off', () => {
    expect(kinds(settled(app({ enabled: false })))).toEqual(['enable_app']);
  });

  test('replaces a changed file', () => {
    const files = {
      path: APP,
      version: '1.0.0',
      content: { ...WANTED.app.content, 'lib/A.php': 'cc', 'lib/B.php': 'dd' },
    };
    expect(planFor(settled(app({ files })), WANTED).steps).toMatchObject([
      { kind: 'deploy_app', changes: { added: [], changed: ['lib/A.php'], removed: ['lib/B.php'] } },
    ]);
  });

  test('deploys another version and settles the database in the same plan', () => {
    const files = { path: APP, version: '0.9.0', content: { 'appinfo/info.xml': '99' } };
    expect(planFor(settled(app({ files, installedVersion: '0.9.0' })), WANTED).steps).toMatchObject([
      { kind: 'deploy_app', from: '0.9.0', to: '1.0.0' },
      { kind: 'upgrade_app', from: '0.9.0', to: '1.0.0' },
    ]);
  });

  test('prefers an apps path that is not the vendor’s', () => {
    const appsPaths = [
      { path: '/var/www/nextcloud/apps', url: '/apps', writable: true },
      { path: '/srv/custom_apps', url: '/custom_apps', writable: true },
    ];
    expect(planFor(exampleFacts({ appsPaths }), WANTED).steps).toContainEqual(
      expect.objectContaining({ kind: 'deploy_app', path: '/srv/custom_apps/remotekeystorage' }),
    );
  });

  test('adds an apps path where none is writable', () => {
    const appsPaths = [{ path: '/var/www/nextcloud/apps', url: '/apps', writable: false }];
    const { steps } = planFor(exampleFacts({ appsPaths, appsPathsConfigured: true }), WANTED);
    expect(steps).toContainEqual({
      kind: 'set_apps_paths',
      paths: [...appsPaths, { path: '/var/www/nextcloud/custom_apps', url: '/custom_apps', writable: true }],
    });
  });

  describe('while keys are on the key server only', () => {
    const enrolment = { directory: '/d', clientId: 'c', urls: [], keys: ['master_1.privateKey'] };
    const off = { ...app({ enabled: false }), enrolment };

    test.each<[string, Partial<Facts>]>([
      ['is switched off', off],
      ['lost its files', { ...app({ files: null }), enrolment }],
      ['is of another version', { ...app({ installedVersion: '0.9.0' }), enrolment }],
    ])('closes the web before anything else when the app %s, and opens it after the proof', (_, changes) => {
      const { steps, afterProof } = planFor(settled(changes), WANTED);
      expect(steps[0]).toEqual({ kind: 'close_web' });
      expect(afterProof).toEqual([{ kind: 'open_web' }]);
    });

    test('leaves a web alone that is closed already', () => {
      const { steps, afterProof } = planFor(settled({ ...off, maintenance: true }), WANTED);
      expect([steps.map(({ kind }) => kind), afterProof]).toEqual([['enable_app'], []]);
    });

    test('closes nothing for a timer', () => {
      const { steps, afterProof } = planFor(settled({ enrolment, timerFiles: {} }), WANTED);
      expect([steps.map(({ kind }) => kind), afterProof]).toEqual([['write_file', 'write_file'], []]);
    });
  });

  test('closes no web while the keys are here', () => {
    expect(planFor(settled(app({ enabled: false })), WANTED).afterProof).toEqual([]);
  });

  test('moves the timer from cron to systemd without leaving two', () => {
    expect(kinds(settled({ scheduler: 'systemd' }))).toEqual([]);
    const steps = planFor({ ...settled(), scheduler: 'systemd' }, WANTED).steps.map((step) => step.kind);
    expect(steps).toEqual(['write_file', 'write_file', 'remove_file', 'start_timer']);
  });

  test('replaces a heartbeat script of another version, and leaves its timer alone', () => {
    const before = settled();
    const wanted = { ...WANTED, heartbeat: '#!/bin/sh\n# newer\n' };
    expect(planFor(before, wanted).steps).toEqual([
      {
        kind: 'write_file',
        path: '/var/lib/latchkey/heartbeat-oc1234567890.sh',
        content: wanted.heartbeat,
        isNew: false,
      },
    ]);
  });

  test('refuses a state folder that others may enter', () => {
    const stateFolder = { path: '/var/lib/latchkey/oc1234567890', exists: true, owner: 'www-data', mode: '0755' };
    expect(() => planFor(exampleFacts({ stateFolder }), WANTED)).toThrow(
      expect.objectContaining({ code: 'state_folder_not_ours', exit: 3 }),
    );
  });
});

describe('removalFor()', () => {
  const enrolment = {
    directory: '/var/lib/latchkey/oc1234567890',
    clientId: 'c',
    urls: [],
    keys: ['master_1.privateKey'],
  };

  test('refuses while a key is on the key server only', () => {
    expect(() => removalFor(settled({ enrolment }))).toThrow(
      expect.objectContaining({ code: 'keys_on_key_server', exit: 3 }),
    );
  });

  test('refuses then even when the app’s files are gone', () => {
    const facts = { ...settled({ enrolment }), app: { ...settled().app, files: null, enabled: false } };
    expect(() => removalFor(facts)).toThrow(expect.objectContaining({ code: 'keys_on_key_server' }));
  });

  test('takes everything away otherwise', () => {
    const steps = removalFor(settled({ enrolment: { ...enrolment, keys: [] } })).map((step) => step.kind);
    expect(steps).toEqual([
      'remove_file',
      'remove_file',
      'disable_app',
      'remove_app',
      'forget_app_values',
      'delete_config',
    ]);
  });
});

describe('obstaclesOf()', () => {
  const codes = (changes: Partial<Facts>): string[] => obstaclesOf(exampleFacts(changes)).map((o) => o.code);
  const encryption = exampleFacts().encryption;
  const web = exampleFacts().web;

  test('finds none on a healthy server', () => {
    expect(obstaclesOf(exampleFacts())).toEqual([]);
  });

  test.each<[string, Partial<Facts>]>([
    ['not_root', { isRoot: false }],
    ['upgrade_pending', { databaseVersion: '31.0.0.1', needsUpgrade: true }],
    ['upgrade_pending', { needsUpgrade: true }],
    ['php_extension_missing', { cli: { ...exampleFacts().cli, missingExtensions: ['curl'] } }],
    ['php_too_old', { cli: { ...exampleFacts().cli, version: '7.4.33' } }],
    ['nextcloud_too_old', { version: { ...exampleFacts().version, major: 27 } }],
    ['master_key_id_lost', { encryption: { ...encryption, masterKeyId: null } }],
    ['master_key_missing', { encryption: { ...encryption, privateKeys: [] } }],
  ])('%s blocks', (code, changes) => {
    expect(obstaclesOf(exampleFacts(changes))).toContainEqual(expect.objectContaining({ code, blocking: true }));
    expect(() => refuseObstacles(obstaclesOf(exampleFacts(changes)))).toThrow(expect.objectContaining({ exit: 3 }));
  });

  test.each<[string, Partial<Facts>]>([
    ['maintenance_mode', { maintenance: true }],
    ['encryption_off', { encryption: { ...encryption, mode: 'off' } }],
    ['user_keys', { encryption: { ...encryption, mode: 'user' } }],
    ['web_php_unknown', { web: null }],
    ['php_versions_differ', { cli: { ...exampleFacts().cli, version: '8.3.1' } }],
    ['no_scheduler', { scheduler: 'none' }],
    ['heartbeat_program_missing', { missingPrograms: ['flock'] }],
    ['exception_args_logged', { cli: { ...exampleFacts().cli, exceptionArgsIgnored: false } }],
    ['sessions_on_disk', { web: web && { ...web, sessionsOnTmpfs: false } }],
    ['selinux_enforcing', { selinuxEnforcing: true }],
    ['apcu_missing', { web: web && { ...web, apcu: false } }],
    ['nextcloud_unknown', { version: { ...exampleFacts().version, major: 36 } }],
  ])('%s is told and does not block', (code, changes) => {
    expect(codes(changes)).toContain(code);
    expect(() => refuseObstacles(obstaclesOf(exampleFacts(changes)))).not.toThrow();
  });

  test('a master key that lives on the key server is not missing', () => {
    const enrolment = { directory: '/d', clientId: 'c', urls: [], keys: ['master_1.privateKey'] };
    expect(codes({ encryption: { ...encryption, privateKeys: [] }, enrolment })).toEqual([]);
  });

  test('an upgrade that only our own app waits for does not block', () => {
    const files = { path: APP, version: '1.0.0', content: {} };
    const changes = {
      needsUpgrade: true,
      app: { state: 'old' as const, enabled: true, installedVersion: '0.9.0', files },
    };
    expect(codes(changes)).toEqual([]);
  });
});

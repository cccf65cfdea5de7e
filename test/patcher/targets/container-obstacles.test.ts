import { describe, expect, test } from 'vitest';
import type { ContainerFacts, Facts } from '../../../patcher/facts.ts';
import { obstaclesOf, refuseObstacles } from '../../../patcher/obstacles.ts';
import { planFor } from '../../../patcher/plan.ts';
import { removalFor } from '../../../patcher/removal.ts';
import { factLines } from '../../../patcher/report.ts';
import type { ContainerMount } from '../../../patcher/targets/container-engine.ts';
import { entryHookScript } from '../../../patcher/targets/container-hooks.ts';
import { containerObstacles } from '../../../patcher/targets/container-obstacles.ts';
import { exampleFacts } from '../example-facts.ts';

const ROOT = '/var/www/html';
const HOOK = '/docker-entrypoint-hooks.d/post-upgrade/90-latchkey.sh';

function mount(destination: string, changes: Partial<ContainerMount> = {}): ContainerMount {
  return { type: 'volume', name: 'named', source: `/v${destination}`, destination, writable: true, ...changes };
}

function facts(container: Partial<ContainerFacts> = {}, changes: Partial<Facts> = {}): Facts {
  const mounts = [mount(ROOT), mount('/var/lib/latchkey')];
  return exampleFacts({
    target: 'container',
    root: ROOT,
    appsPaths: [
      { path: `${ROOT}/apps`, url: '/apps', writable: false },
      { path: `${ROOT}/custom_apps`, url: '/custom_apps', writable: true },
    ],
    heartbeat: { via: 'container', command: ['/usr/bin/docker', 'exec', '-i', '-u', '33', 'cloud'] },
    container: {
      ...{ engine: 'docker', name: 'cloud', image: 'nextcloud:33-apache', kind: 'official' },
      ...{ mounts, entryHooks: [], companions: [] },
      ...container,
    },
    ...changes,
  });
}

const codes = (of: Facts): string[] => containerObstacles(of).map(({ code }) => code);

describe('apply is refused', () => {
  test.each<[string, string, readonly ContainerMount[]]>([
    ['state_would_vanish', 'nothing keeps the enrolment', [mount(ROOT)]],
    ['state_would_vanish', 'only memory keeps it', [mount(ROOT), mount('/var/lib/latchkey', { type: 'tmpfs' })]],
    ['state_read_only', 'its volume is read-only', [mount(ROOT), mount('/var/lib/latchkey', { writable: false })]],
    ['app_would_vanish', 'the app would be part of the container', [mount('/var/lib/latchkey')]],
    [
      'app_would_vanish',
      'only other folders of Nextcloud are volumes',
      [mount(`${ROOT}/data`), mount('/var/lib/latchkey')],
    ],
  ])('with %s where %s', (code, _, mounts) => {
    const refusal = expect.objectContaining({ code, exit: 3, hint: expect.stringContaining('-v ') });
    expect(() => refuseObstacles(obstaclesOf(facts({ mounts })))).toThrow(refusal);
  });

  test('where the app that is there already would vanish, although another place would not', () => {
    const mounts = [mount(`${ROOT}/custom_apps`), mount('/var/lib/latchkey')];
    const files = { path: `${ROOT}/apps/remotekeystorage`, version: '1.0.0', content: {} };
    const app = { state: 'enabled' as const, enabled: true, installedVersion: '1.0.0', files };
    expect(codes(facts({ mounts }, { app }))).toEqual(['app_would_vanish']);
    expect(codes(facts({ mounts }))).toEqual([]);
  });
});

describe('containerObstacles()', () => {
  test('has nothing to say of volumes where they belong, and of no container', () => {
    expect(codes(facts())).toEqual([]);
    expect(codes(exampleFacts())).toEqual([]);
  });

  test('lets a volume do that nobody named, and says so', () => {
    const unnamed = { name: 'a'.repeat(64) };
    const mounts = [mount(ROOT, unnamed), mount('/var/lib/latchkey', unnamed)];
    expect(containerObstacles(facts({ mounts }))).toMatchObject([{ code: 'state_in_unnamed_volume', blocking: false }]);
  });

  test('tells of another container that runs the same code without the enrolment', () => {
    const companions = [
      { name: 'cron', seesState: false },
      { name: 'cron2', seesState: true },
    ];
    const found = containerObstacles(facts({ companions }));
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({ code: 'companion_without_state', hint: expect.stringContaining('-v named:') });
    expect(found[0]?.message).toContain('container cron runs');
  });

  test('tells what AIO does at each update', () => {
    expect(codes(facts({ kind: 'aio' }))).toEqual(['aio_disables_apps']);
  });

  test('tells of a folder for scripts that is read-only, unless the script is there', () => {
    const wanted = entryHookScript(ROOT);
    const hook = { path: HOOK, writable: false, wanted };
    expect(codes(facts({ entryHooks: [{ ...hook, content: null }] }))).toEqual(['entry_hook_read_only']);
    expect(codes(facts({ entryHooks: [{ ...hook, content: wanted }] }))).toEqual([]);
  });

  test.each([
    [2, []],
    [60, ['opcache_slow']],
    [null, []],
  ])('with PHP looking at files every %s s: %j', (opcacheSeconds, expected) => {
    const { web } = exampleFacts();
    expect(codes(facts({}, { web: web === null ? null : { ...web, opcacheSeconds } }))).toEqual(expected);
  });
});

describe('arguments of functions in logs', () => {
  function hint(container: Partial<ContainerFacts>): string | undefined {
    const cli = { ...exampleFacts().cli, exceptionArgsIgnored: false };
    return obstaclesOf(facts(container, { cli })).find(({ code }) => code === 'exception_args_logged')?.hint;
  }

  test('are kept out by a file that is mounted, where images have no php.ini', () => {
    expect(hint({})).toContain('mount a file');
    expect(hint({ kind: 'aio' })).not.toContain('mount');
  });
});

describe('the script of the entry point', () => {
  const wanted = { app: { version: '1.0.0', content: {} }, heartbeat: '' };
  const hook = (content: string | null, writable = true) => ({
    entryHooks: [{ path: HOOK, writable, wanted: entryHookScript(ROOT), content }],
  });
  const steps = (of: Facts): string[] => planFor(of, wanted).steps.map(({ kind }) => kind);

  test.each([
    ['is not there', null],
    ['is another', '#!/bin/sh\n'],
  ])('is written where it %s', (_, content) => {
    expect(steps(facts(hook(content)))).toContain('write_entry_hook');
  });

  test('is left alone where it is as wanted, or cannot be written', () => {
    expect(steps(facts(hook(entryHookScript(ROOT))))).not.toContain('write_entry_hook');
    expect(steps(facts(hook(null, false)))).not.toContain('write_entry_hook');
  });

  test('goes with the app, and only where it is', () => {
    const kinds = (of: Facts): string[] => removalFor(of).map(({ kind }) => kind);
    expect(kinds(facts(hook(entryHookScript(ROOT))))).toContain('remove_entry_hook');
    expect(kinds(facts(hook(null)))).not.toContain('remove_entry_hook');
  });

  test('never fails, and quotes the root', () => {
    expect(entryHookScript("/srv/it's")).toContain("php '/srv/it'\\''s/occ' app:enable remotekeystorage || :\n");
  });
});

test('detect names the container', () => {
  expect(factLines(facts())).toContainEqual(['container', 'cloud (docker, nextcloud:33-apache)']);
});

import { describe, expect, it } from 'vitest';
import type { CoreFile, Facts } from '../../../patcher/facts.ts';
import { coverFilesFor } from '../../../patcher/hooks/core-cover.ts';
import { judgeCore } from '../../../patcher/hooks/core-facts.ts';
import { coreObstacles, coreSteps, wantedHook } from '../../../patcher/hooks/core-plan.ts';
import { patchFile, sha512 } from '../../../patcher/hooks/file-patch.ts';
import { readHook } from '../../../patcher/hooks/hook-definition.ts';
import { isReadOnlyAt, parseMountTable } from '../../../patcher/hooks/mount-table.ts';
import { planFor } from '../../../patcher/plan.ts';
import { removalFor } from '../../../patcher/removal.ts';
import { exampleFacts } from '../example-facts.ts';

const path = '/var/www/nextcloud/lib/private/Server.php';

function core(changes: Partial<CoreFile> = {}): CoreFile {
  const hashes = { now: 'stock', signed: 'stock', hooked: 'hooked' };
  return { path, state: 'stock', ...hashes, marked: false, refusal: null, cover: null, ...changes };
}
const patched = core({ state: 'patched', now: 'hooked', marked: true });
const outdated = core({ state: 'outdated', now: 'older', marked: true });
const refusal = { code: 'hook_place_moved', message: 'it moved', hint: 'look' };
const spoiled = core({ state: 'other', now: 'other', hooked: null, marked: true, refusal });

const facts = (file: CoreFile | null, changes: Partial<Facts> = {}): Facts =>
  exampleFacts({ ...(file === null ? {} : { core: file }), ...changes });

describe('wantedHook()', () => {
  it('is what is asked for, else what was chosen, else what is there, else the app', () => {
    expect(wantedHook(facts(patched, { hook: 'core' }), 'app')).toBe('app');
    expect(wantedHook(facts(core(), { hook: 'core' }), null)).toBe('core');
    expect(wantedHook(facts(patched), null)).toBe('core');
    expect(wantedHook(facts(null), null)).toBe('app');
  });
});

describe('coreSteps()', () => {
  const kinds = (given: Facts, asked: 'app' | 'core' | null) => coreSteps(given, asked).map(({ kind }) => kind);

  it('plans nothing for a file that cannot be judged', () => {
    expect(kinds(facts(core({ hooked: null, refusal })), 'core')).toEqual([]);
    expect(kinds(facts(spoiled), 'app')).toEqual([]);
  });

  it('puts the hook in and remembers it', () => {
    expect(coreSteps(facts(core()), 'core')).toEqual([
      { kind: 'patch_core', path, before: 'stock', after: 'hooked', major: 32 },
      { kind: 'remember_hook', hook: 'core' },
    ]);
  });

  it('puts it back after an upgrade without being asked again', () => {
    expect(kinds(facts(core(), { hook: 'core' }), null)).toEqual(['patch_core']);
  });

  it('brings the hook of an older ncpatch up to date, and leaves its own alone', () => {
    expect(kinds(facts(outdated, { hook: 'core' }), null)).toEqual(['patch_core']);
    expect(kinds(facts(patched, { hook: 'core' }), null)).toEqual([]);
  });

  it('takes the hook out, to the bytes that the vendor signed', () => {
    for (const file of [patched, outdated]) {
      expect(coreSteps(facts(file, { hook: 'core' }), 'app')).toEqual([
        { kind: 'unpatch_core', path, before: file.now, after: 'stock' },
        { kind: 'remember_hook', hook: null },
      ]);
    }
  });

  it('covers a file that cannot be written, and covers it anew when anything of that is not as it should be', () => {
    const cover = { files: {}, before: ['snap.nextcloud.apache.service'], script: 'script' };
    const { instanceId } = exampleFacts();
    const files = coverFilesFor({ instanceId, path, before: cover.before, signed: 'stock', script: cover.script });
    const settled = core({ ...patched, cover: { ...cover, files } });
    expect(kinds(facts(core({ cover })), 'core')).toEqual(['cover_core', 'remember_hook']);
    expect(kinds(facts(settled, { hook: 'core' }), null)).toEqual([]);
    const [first = ''] = Object.keys(files);
    for (const changed of [{ ...files, [first]: 'other' }, Object.fromEntries(Object.entries(files).slice(1))]) {
      const now = core({ ...patched, cover: { ...cover, files: changed } });
      expect(coreSteps(facts(now, { hook: 'core' }), null)).toMatchObject([
        { kind: 'cover_core', isNew: false, files },
      ]);
    }
    expect(kinds(facts(settled, { hook: 'core' }), 'app')).toEqual(['uncover_core', 'remember_hook']);
    expect(kinds(facts(core({ cover }), { hook: 'core' }), 'app')).toEqual(['remember_hook']);
  });
});

describe('coreObstacles()', () => {
  it('says nothing where the hook is neither wanted nor there', () => {
    expect(coreObstacles(facts(null), null)).toEqual([]);
    expect(coreObstacles(facts(core(), { hook: 'core' }), 'app')).toEqual([]);
  });

  it('blocks with the reason why the hook cannot be put in', () => {
    expect(coreObstacles(facts(core({ hooked: null, refusal })), 'core')).toEqual([{ ...refusal, blocking: true }]);
  });

  it('blocks where the hook cannot be taken out, because somebody else changed the file too', () => {
    expect(coreObstacles(facts(spoiled), 'app')).toMatchObject([{ code: 'core_file_changed', blocking: true }]);
  });

  it('tells of the integrity check of nextcloud', () => {
    expect(coreObstacles(facts(core()), 'core')).toMatchObject([{ code: 'core_file_changed_by_us', blocking: false }]);
  });
});

const wanted = { app: { version: '1.0.0', content: {} }, heartbeat: '#!/bin/sh\n' };
const enrolment = { directory: '/x', clientId: 'lk-1', urls: ['https://10.0.0.1'], keys: ['master_1.privateKey'] };
const off = { state: 'disabled', enabled: false, installedVersion: '1.0.0', files: null } as const;

describe('planFor() with the hook core', () => {
  const withApp = {
    enrolment,
    app: { ...off, files: { path: '/var/www/nextcloud/apps/remotekeystorage', version: '1.0.0', content: {} } },
  };
  const steps = (given: Facts, asked: 'app' | 'core' | null = null) =>
    planFor(given, wanted, asked)
      .steps.map(({ kind }) => kind)
      .filter((kind) => /app|core|web|hook/.test(kind));

  it('puts the hook in after the app that it loads', () => {
    expect(steps(facts(core(), withApp), 'core')).toEqual(['close_web', 'enable_app', 'patch_core', 'remember_hook']);
  });

  it('leaves the web open when the app is switched off and the changed file fetches the keys', () => {
    expect(steps(facts(patched, { ...withApp, hook: 'core' }))).toEqual(['enable_app']);
  });

  it('closes the web when the changed file goes before the app is known to be there', () => {
    expect(steps(facts(patched, { ...withApp, hook: 'core' }), 'app')).toEqual([
      'close_web',
      'enable_app',
      'unpatch_core',
      'remember_hook',
    ]);
  });
});

describe('removalFor() with the hook core', () => {
  it('refuses while the file holds more than our hook', () => {
    expect(() => removalFor(facts(spoiled))).toThrow(expect.objectContaining({ code: 'hook_place_moved', exit: 3 }));
  });

  it('takes the hook out before the files that it loads', () => {
    const kinds = removalFor(facts(patched, { hook: 'core', app: { ...off, enabled: true } })).map(({ kind }) => kind);
    expect(kinds.indexOf('unpatch_core')).toBeLessThan(kinds.indexOf('disable_app'));
    expect(kinds.filter((kind) => kind === 'delete_config')).toHaveLength(2);
  });
});

describe('judgeCore()', async () => {
  const hook = await readHook('core');
  const stock = Buffer.from(['<?php', ...(hook.patches[1]?.context ?? []), ''].join('\n'));
  const hooked = patchFile(hook, stock, 33);
  const signed = sha512(stock);
  const judge = (data: Buffer | null, major = 33, hash: Parameters<typeof judgeCore>[1]['signed'] = signed) =>
    judgeCore(hook, { path, data, signed: hash, major });

  it('refuses a file that is not there, or that the vendor did not sign', () => {
    expect(judge(null)).toMatchObject({ state: 'other', refusal: { code: 'core_file_missing' } });
    expect(judge(Buffer.concat([stock, Buffer.from('x')]))).toMatchObject({
      state: 'other',
      hooked: null,
      refusal: { code: 'core_file_unsigned' },
    });
    expect(judge(stock, 33, refusal)).toMatchObject({ state: 'other', refusal });
  });

  it('refuses our hook in a file with other changes', () => {
    expect(judge(Buffer.concat([hooked, Buffer.from('x')]))).toMatchObject({
      state: 'other',
      refusal: { code: 'core_file_changed' },
    });
  });

  it('refuses a signed file in which the place moved', () => {
    const moved = Buffer.from('<?php // another server\n');
    expect(judge(moved, 36, sha512(moved))).toMatchObject({
      state: 'stock',
      hooked: null,
      refusal: { code: 'hook_place_moved' },
    });
  });

  it('tells stock, hooked, and hooked by another ncpatch apart', () => {
    const older = Buffer.from(hooked.toString('utf8').replace('(require ', '(include '));
    expect(judge(stock)).toMatchObject({ state: 'stock', now: signed, hooked: sha512(hooked), refusal: null });
    expect(judge(hooked)).toMatchObject({ state: 'patched', signed, hooked: sha512(hooked), refusal: null });
    expect(judge(older)).toMatchObject({
      state: 'outdated',
      now: sha512(older),
      hooked: sha512(hooked),
      refusal: null,
    });
  });
});

describe('the mount table', () => {
  const mounts = parseMountTable(
    [
      '22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw',
      '30 22 7:1 / /snap/nextcloud/1 ro,nodev shared:9 - squashfs /dev/loop1 ro',
      '31 22 7:2 / /srv/a\\040b rw - xfs /dev/sdb ro',
      '32 30 8:1 /var/lib/latchkey/copy /snap/nextcloud/1/Server.php rw - ext4 /dev/sda1 rw',
      'not a mount',
      '',
    ].join('\n'),
  );

  it('says what cannot be written: by the mount, or by the file system below it', () => {
    expect(isReadOnlyAt(mounts, '/snap/nextcloud/1/other.php')).toBe(true);
    expect(isReadOnlyAt(mounts, '/srv/a b/x')).toBe(true);
    expect(isReadOnlyAt(mounts, '/snap/nextcloud/12/x')).toBe(false);
    expect(isReadOnlyAt(mounts, '/var/www/x')).toBe(false);
  });

  it('does not take a file mounted over another for the file system of the other', () => {
    expect(isReadOnlyAt(mounts, '/snap/nextcloud/1/Server.php')).toBe(true);
  });
});

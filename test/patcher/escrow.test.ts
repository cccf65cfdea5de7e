import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Facts } from '../../patcher/facts.ts';
import { escrow, escrowPreflight } from '../../patcher/keys/escrow.ts';
import { openOwnerCopy } from '../../patcher/keys/owner-copy.ts';
import { restore } from '../../patcher/keys/restore.ts';
import { exampleFacts } from './example-facts.ts';
import { Killed, PretendApp } from './pretend-app.ts';

const PASSPHRASE = 'a passphrase of some length';
const MASTER = 'master_1.privateKey';
const silent = { step: () => undefined, note: () => undefined };

let folder: string;
let app: PretendApp;
let original: Buffer;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lk-escrow-'));
  app = new PretendApp();
  original = randomBytes(900);
  app.disk.set(MASTER, original);
  app.disk.set('pubShare_1.privateKey', randomBytes(900));
});
afterEach(() => rmSync(folder, { recursive: true }));

function facts(state: Facts['app']['state'] = 'enrolled'): Facts {
  const base = exampleFacts();
  return {
    ...base,
    app: { ...base.app, state },
    enrolment: { directory: '/d', clientId: 'client-1', urls: ['https://k'], keys: app.moved },
  };
}
const path = (): string => join(folder, 'copy.json');
const order = (grant: string | null = 'the-grant') => ({ grant, copy: { path: path(), passphrase: PASSPHRASE } });
const deps = () => ({ occ: app.occ, progress: silent, now: () => 0, random: randomBytes });
async function copyHolds(id: string): Promise<boolean> {
  if (!existsSync(path())) return false;
  return (await openOwnerCopy(readFileSync(path(), 'utf8'), PASSPHRASE)).keys[id]?.equals(original) === true;
}

describe('escrow()', () => {
  test('moves every key and leaves the owner a copy that only its owner may read', async () => {
    const report = await escrow(facts(), order(), deps());
    expect([...app.disk.keys()]).toEqual([]);
    expect(report.removed).toEqual([MASTER, 'pubShare_1.privateKey']);
    expect(await copyHolds(MASTER)).toBe(true);
    expect(statSync(path()).mode & 0o777).toBe(0o600);
  });

  test('tells where copies may lie as the machine has it: a container and a snap have a /tmp of their own', async () => {
    app.copies = ['/tmp', '/srv/backup'];
    const told = async (more: Partial<Facts>): Promise<readonly string[]> => {
      app.disk.set(MASTER, original);
      return (await escrow({ ...facts(), ...more }, order(), deps())).copies;
    };
    expect(await told({})).toEqual(['/tmp', '/srv/backup']);
    const snap = { version: '1', revision: '2', tracking: null, notes: [], held: null, otherRevisions: [], copies: [] };
    expect(await told({ snap })).toEqual(['/tmp/snap-private-tmp/snap.nextcloud/tmp', '/srv/backup']);
    const engine = { engine: 'docker', name: 'cloud', image: 'nextcloud', kind: 'official' } as const;
    const container = { ...engine, mounts: [], entryHooks: [], companions: [] };
    expect(await told({ container })).toEqual(['/tmp in the container cloud', '/srv/backup in the container cloud']);
  });

  test('removes nothing when the grant is refused, and writes no copy', async () => {
    await expect(escrow(facts(), order('wrong'), deps())).rejects.toMatchObject({ code: 'grant_refused' });
    expect(app.disk.size).toBe(2);
    expect(existsSync(path())).toBe(false);
  });

  test('removes nothing when the copy cannot be written', async () => {
    const bad = { grant: 'the-grant', copy: { path: join(folder, 'no', 'such', 'copy'), passphrase: PASSPHRASE } };
    await expect(escrow(facts(), bad, deps())).rejects.toMatchObject({ code: 'file_not_written' });
    expect(app.disk.size).toBe(2);
  });

  test('never overwrites a file of another kind or of other keys', async () => {
    writeFileSync(path(), 'holiday photos');
    await expect(escrow(facts(), order(), deps())).rejects.toMatchObject({ code: 'copy_unreadable' });
    expect(readFileSync(path(), 'utf8')).toBe('holiday photos');
    expect(app.disk.size).toBe(2);
  });

  test('removes nothing when the passphrase is too short', async () => {
    const short = { grant: 'the-grant', copy: { path: path(), passphrase: 'short' } };
    await expect(escrow(facts(), short, deps())).rejects.toMatchObject({ code: 'passphrase_too_short' });
    expect(app.disk.size).toBe(2);
  });

  test('does not need a grant again when an earlier run has stored the keys', async () => {
    await escrow(facts(), order(), deps());
    const again = await escrow(facts('escrowed'), order(null), deps());
    expect(again).toMatchObject({ copy: { state: 'present' }, removed: [] });
  });

  test.each([0, 1, 2].flatMap((call) => (['before', 'after'] as const).map((side) => [side, call] as const)))(
    'killed %s the effect of call %i, no key is ever in no place, and a second run ends it',
    async (side, call) => {
      app.cut = { call, side };
      await expect(escrow(facts(), order(), deps())).rejects.toBeInstanceOf(Killed);
      for (const id of [MASTER, 'pubShare_1.privateKey']) expect(app.placesOf(id)).toBeGreaterThan(0);
      if (!app.disk.has(MASTER)) expect(await copyHolds(MASTER)).toBe(true);
      app.cut = null;
      await escrow(facts(), order(), deps());
      expect(app.disk.size).toBe(0);
      expect(await copyHolds(MASTER)).toBe(true);
    },
  );
});

describe('escrowPreflight()', () => {
  test.each<Facts['app']['state']>(['absent', 'old', 'disabled', 'enabled'])(
    'refuses an app that is %s',
    async (state) => {
      await expect(escrowPreflight(facts(state), deps())).rejects.toMatchObject({ code: 'not_enrolled', exit: 3 });
      expect(app.calls).toEqual([]);
    },
  );
});

describe('restore()', () => {
  beforeEach(async () => {
    await escrow(facts(), order(), deps());
    app.calls.length = 0;
  });

  test("works with the owner's copy alone", async () => {
    app.keyServer.clear();
    await restore(facts('escrowed'), { copy: { path: path(), passphrase: PASSPHRASE } }, deps());
    expect(app.disk.get(MASTER)).toEqual(original);
    expect(app.moved).toEqual([]);
  });

  test("refuses another instance's copy without touching the server", async () => {
    const other = { ...facts('escrowed'), instanceId: 'ocother00000' };
    const asked = restore(other, { copy: { path: path(), passphrase: PASSPHRASE } }, deps());
    await expect(asked).rejects.toMatchObject({ code: 'copy_of_another', exit: 3 });
    expect(app.calls).toEqual([]);
  });

  test('refuses a wrong passphrase without touching the server', async () => {
    const asked = restore(facts('escrowed'), { copy: { path: path(), passphrase: 'another passphrase' } }, deps());
    await expect(asked).rejects.toMatchObject({ code: 'copy_not_opened' });
    expect(app.calls).toEqual([]);
  });

  test('does not finish while the copy lacks a key that has moved', async () => {
    app.moved.push('master_2.privateKey');
    const asked = restore(facts('escrowed'), { copy: { path: path(), passphrase: PASSPHRASE } }, deps());
    await expect(asked).rejects.toMatchObject({ code: 'keys_missing', exit: 3 });
    expect(app.calls).toEqual(['remotekey:restore --stage=write']);
  });

  test.each([0, 1].flatMap((call) => (['before', 'after'] as const).map((side) => [side, call] as const)))(
    'killed %s the effect of call %i, a second run ends it',
    async (side, call) => {
      app.cut = { call, side };
      await expect(restore(facts('escrowed'), { copy: null }, deps())).rejects.toBeInstanceOf(Killed);
      expect(app.placesOf(MASTER)).toBeGreaterThan(0);
      app.cut = null;
      await restore(facts('escrowed'), { copy: null }, deps());
      expect(app.disk.get(MASTER)).toEqual(original);
      expect(app.moved).toEqual([]);
    },
  );
});

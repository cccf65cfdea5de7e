import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { versionOrder } from '../../patcher/audit/app-version.ts';
import { accepting, assertSameServer, type Baseline, firstBaseline, raised } from '../../patcher/audit/baseline.ts';
import { openBaseline, sealBaseline } from '../../patcher/audit/baseline-file.ts';
import { auditorKey, defaultKeyFile } from '../../patcher/audit/baseline-key.ts';
import { BaselineStore } from '../../patcher/audit/baseline-store.ts';
import { stablePaths } from '../../patcher/audit/stable-path.ts';
import type { Finding, Seen } from '../../patcher/audit/verdict.ts';

const key = generateKeyPairSync('ed25519').privateKey;
const at = new Date('2026-11-21T12:00:00Z');
const stable = stablePaths(null);
const server = { instance: 'oc1234567890', root: '/nc' };
const seen: Seen = {
  core: '33.0.1.2',
  apps: new Map([
    ['/nc/apps/dav', { version: '1.35.0', signer: 'core' }],
    ['/nc/apps/notes', { version: '4.9.0', signer: null }],
  ]),
  open: new Map([
    ['app notes', new Map([['/nc/apps/notes/lib/a.php', 'aa']])],
    ['themes', new Map([['/nc/themes/\udcff\n"x', 'bb']])],
  ]),
  revocations: 'the list',
};
const baseline: Baseline = {
  ...firstBaseline(seen, server, { stable, at }),
  accepted: [{ kind: 'added', path: '/nc/x', mark: 'cc', reason: 'ours', at: at.toISOString() }],
};
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-baseline-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function code(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    expect(error).toMatchObject({ exit: 3 });
    return (error as { code: string }).code;
  }
  return 'not refused';
}

describe('openBaseline()', () => {
  const text = sealBaseline(baseline, key);

  it('refuses a baseline in which anything was changed after it was signed', () => {
    const whole = JSON.parse(text);
    for (const changed of [
      text.replace('"aa"', '"ab"'),
      text.replace('33.0.1.2', '33.0.1.1'),
      text.replace('"ours"', '"mine"'),
      text.replace('/nc/apps/notes/lib/a.php', '/nc/apps/notes/lib/b.php'),
      text.replace('"oc1234567890"', 'null'),
      text.replace('"signer": null', '"signer": "notes"'),
      text.replace(whole.signature, `${whole.signature.startsWith('A') ? 'B' : 'A'}${whole.signature.slice(1)}`),
    ]) {
      expect(changed).not.toBe(text);
      expect(code(() => openBaseline(changed, key, 'b'))).toBe('baseline_tampered');
    }
  });

  it('refuses another spelling of a signed baseline: one baseline has one text', () => {
    const { open, ...rest } = JSON.parse(text).baseline;
    for (const other of [
      text.replace('\n', ''),
      `${text}\n`,
      `${JSON.stringify(JSON.parse(text))}\n`,
      text.replace('"core": "33.0.1.2"', '"core": "1.0", "core": "33.0.1.2"'),
      `${JSON.stringify({ ...JSON.parse(text), baseline: { open, ...rest } }, null, 1)}\n`,
    ]) {
      expect(other).not.toBe(text);
      expect(code(() => openBaseline(other, key, 'b'))).toBe('baseline_tampered');
    }
  });

  it('refuses one that another key signed, also when it names the right one', () => {
    const other = generateKeyPairSync('ed25519').privateKey;
    const foreign = sealBaseline(baseline, other);
    expect(code(() => openBaseline(foreign, key, 'b'))).toBe('baseline_foreign');
    const dressed = foreign.replace(JSON.parse(foreign).key, JSON.parse(text).key);
    expect(code(() => openBaseline(dressed, key, 'b'))).toBe('baseline_tampered');
  });

  it('refuses what is no signed baseline, without repeating it', () => {
    const whole = JSON.parse(text);
    for (const value of [
      'canary',
      '[]',
      '{}',
      JSON.stringify({ ...whole, signature: undefined }),
      JSON.stringify({ ...whole, more: 'canary' }),
      JSON.stringify({ ...whole, version: 2 }),
      JSON.stringify({ ...whole, baseline: { ...whole.baseline, core: 5 } }),
    ]) {
      expect(code(() => openBaseline(value, key, 'b'))).toBe('baseline_unreadable');
      expect(() => openBaseline(value, key, 'b')).not.toThrow('canary');
    }
  });

  it('answers what was sealed, whatever the names of files', () => {
    expect(openBaseline(text, key, 'b')).toEqual(baseline);
    expect(sealBaseline(openBaseline(text, key, 'b'), key)).toBe(text);
  });
});

describe('auditorKey()', () => {
  it('refuses a key that others may read, that is of another kind, or that is not there', () => {
    const file = join(folder, 'key.pem');
    expect(code(() => auditorKey(file, { make: false }))).toBe('baseline_key_missing');
    expect(readdirSync(folder)).toEqual([]);
    const { privateKey } = generateKeyPairSync('x25519');
    writeFileSync(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    expect(code(() => auditorKey(file, { make: true }))).toBe('baseline_key_unusable');
    writeFileSync(file, 'no key');
    expect(code(() => auditorKey(file, { make: true }))).toBe('baseline_key_unusable');
    chmodSync(file, 0o640);
    expect(code(() => auditorKey(file, { make: true }))).toBe('file_too_open');
  });

  it('is made once, for its owner alone, in the folder for state', () => {
    const file = defaultKeyFile({ XDG_STATE_HOME: folder });
    expect(file).toBe(join(folder, 'latchkey/audit-key.pem'));
    const made = auditorKey(file, { make: true });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, 'latchkey')).mode & 0o777).toBe(0o700);
    expect(auditorKey(file, { make: true }).equals(made)).toBe(true);
    expect(defaultKeyFile({ HOME: '/home/a', XDG_STATE_HOME: 'relative' })).toBe(
      '/home/a/.local/state/latchkey/audit-key.pem',
    );
  });
});

describe('BaselineStore', () => {
  const store = (place: string): BaselineStore => new BaselineStore(place, join(folder, 'key'), { makeKey: true });

  it('refuses to compare with nothing, to overwrite a first baseline, and to guess whose it is', () => {
    const file = join(folder, 'b.json');
    expect(code(() => store(file).read(server))).toBe('baseline_missing');
    store(file).first(server, baseline);
    expect(code(() => store(file).refuseExisting(server))).toBe('file_exists');
    expect(code(() => store(file).first(server, baseline))).toBe('file_exists');
    expect(code(() => store(folder).read({ ...server, instance: null }))).toBe('instance_id_unknown');
    expect(code(() => store(folder).read(server))).toBe('baseline_missing');
  });

  it('keeps one file, or in a folder one for each instance; only its owner may read them', () => {
    expect(store(folder).first(server, baseline)).toBe(join(folder, 'oc1234567890.json'));
    expect(statSync(join(folder, 'oc1234567890.json')).mode & 0o777).toBe(0o600);
    expect(store(folder).read(server)).toEqual(baseline);
  });

  it('writes only when something was raised', () => {
    const file = join(folder, 'b.json');
    store(file).first(server, baseline);
    const before = readFileSync(file, 'utf8');
    store(file).raise(server, baseline, { ...seen, core: '32.0.9.1' }, stable);
    expect(readFileSync(file, 'utf8')).toBe(before);
    store(file).raise(server, baseline, { ...seen, core: '34.0.0.1' }, stable);
    expect(store(file).read(server).core).toBe('34.0.0.1');
  });
});

describe('assertSameServer()', () => {
  it('refuses the baseline of another instance or of another folder', () => {
    expect(code(() => assertSameServer(baseline, { ...server, instance: 'oc0987654321' }))).toBe('baseline_other');
    expect(code(() => assertSameServer(baseline, { ...server, root: '/other' }))).toBe('baseline_other');
  });

  it('takes one that lost its config.php for the same', () => {
    expect(() => assertSameServer(baseline, { ...server, instance: null })).not.toThrow();
    expect(() => assertSameServer(baseline, server)).not.toThrow();
  });
});

describe('raised()', () => {
  const app = (version: string | null, signer: string | null) => new Map([['/nc/apps/dav', { version, signer }]]);

  it('lets nothing go down, and nothing up that the vendor did not sign', () => {
    expect(raised(baseline, { ...seen, core: '33.0.0.9' }, stable)).toBe(baseline);
    expect(raised(baseline, { ...seen, core: null, revocations: null }, stable)).toBe(baseline);
    expect(raised(baseline, { ...seen, apps: app('1.34.9', 'core') }, stable)).toBe(baseline);
    expect(raised(baseline, { ...seen, apps: app('9.0.0', null) }, stable)).toBe(baseline);
    expect(raised(baseline, { ...seen, apps: app(null, 'core') }, stable)).toBe(baseline);
  });

  it('keeps higher versions, the newest list, and lets go of files that a signed list covers now', () => {
    expect(raised(baseline, { ...seen, apps: app('1.36.0', 'core') }, stable).apps.get('/nc/apps/dav')).toEqual({
      version: '1.36.0',
      signer: 'core',
    });
    const signed = { ...seen, apps: new Map([['/nc/apps/notes', { version: '4.9.0', signer: 'notes' }]]) };
    const next = raised(baseline, { ...signed, revocations: 'a newer list' }, stable);
    expect(next.open.has('app notes')).toBe(false);
    expect(next).toMatchObject({ revocations: 'a newer list', accepted: baseline.accepted });
  });
});

describe('accepting()', () => {
  const about = { stable, reason: 'looked at it', at };
  const finding = (more: Partial<Finding>): Finding => ({
    kind: 'added',
    path: '/nc/evil.php',
    part: 'core',
    words: null,
    mark: 'dd',
    ...more,
  });

  it('refuses what could not be read', () => {
    expect(code(() => accepting(baseline, [finding({ kind: 'unreadable', mark: null })], seen, about))).toBe(
      'cannot_accept',
    );
  });

  it('keeps what is there now, with the reason; a newer acceptance replaces the older one', () => {
    const once = accepting(baseline, [finding({})], seen, about);
    const twice = accepting(once, [finding({ mark: 'ee' })], seen, about);
    expect(twice.accepted).toEqual([
      ...baseline.accepted,
      { kind: 'added', path: '/nc/evil.php', mark: 'ee', reason: 'looked at it', at: at.toISOString() },
    ]);
  });

  it('makes what changed since part of the baseline, and nothing beside it', () => {
    const now: Seen = {
      ...seen,
      open: new Map([
        ['app notes', new Map([['/nc/apps/notes/lib/b.php', 'ff']])],
        ['themes', new Map([['/nc/themes/new', 'gg']])],
      ]),
    };
    const changes = [
      finding({ kind: 'gone_since', path: '/nc/apps/notes/lib/a.php' }),
      finding({ kind: 'new_since', path: '/nc/apps/notes/lib/b.php' }),
    ];
    const next = accepting(baseline, changes, now, about);
    expect(next.open.get('app notes')).toEqual(new Map([['/nc/apps/notes/lib/b.php', 'ff']]));
    expect(next.open.get('themes')).toEqual(baseline.open.get('themes'));
    expect(next.accepted).toEqual(baseline.accepted);
  });
});

describe('accepting() whole apps', () => {
  const about = { stable, reason: 'looked at it', at };
  const whole = (kind: Finding['kind']): Finding => ({
    kind,
    path: '/nc/apps/notes',
    part: 'app notes',
    words: null,
    mark: null,
  });

  it('takes in a new one with all its files, and lets go of one that is gone', () => {
    const without: Seen = { ...seen, apps: new Map(), open: new Map() };
    const gone = accepting(baseline, [whole('gone_since')], without, about);
    expect(gone.apps.has('/nc/apps/notes')).toBe(false);
    expect(gone.apps.has('/nc/apps/dav')).toBe(true);
    expect(gone.open.has('app notes')).toBe(false);
    const back = accepting(gone, [whole('new_since')], seen, about);
    expect(back.apps.get('/nc/apps/notes')).toEqual({ version: '4.9.0', signer: null });
    expect(back.open).toEqual(baseline.open);
  });
});

describe('stablePaths()', () => {
  it.each([
    ['/snap/nextcloud/123/htdocs', '/snap/nextcloud/current/htdocs'],
    ['/snap/nextcloud/x1', '/snap/nextcloud/current'],
    ['/var/lib/snapd/snap/nextcloud/7/htdocs', '/var/lib/snapd/snap/nextcloud/current/htdocs'],
    ['/var/snap/nextcloud/123/nextcloud/config', '/var/snap/nextcloud/current/nextcloud/config'],
    ['/var/snap/nextcloud/common/nextcloud/data', '/var/snap/nextcloud/common/nextcloud/data'],
    ['/srv/snap/nextcloud/123', '/srv/snap/nextcloud/123'],
    ['/mnt/cloud/var/www', '/var/www'],
    ['/mnt/cloudy/var/www', '/mnt/cloudy/var/www'],
  ])('calls %s %s', (path, name) => {
    expect(stablePaths('/mnt/cloud')(path)).toBe(name);
  });
});

describe('versionOrder()', () => {
  it.each([
    ['1.2.3', '1.10.0', -1],
    ['6.0.0-dev.0', '5.9.9', 1],
    ['6.0.0-dev.0', '6.0.0-dev.0', 0],
    ['6.0.0-dev.1', '6.0.0-dev.0', null],
    ['6.0.0-dev.0', '6.0.0', null],
    ['next', '1.0', null],
  ])('of %s and %s is %s', (a, b, expected) => {
    const order = versionOrder(a, b);
    expect(order === null ? null : Math.sign(order)).toBe(expected);
  });
});

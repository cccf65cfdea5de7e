import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { chooseHosts } from '../../patcher/fleet/host-choice.ts';
import { exitOf, judgeEnding } from '../../patcher/fleet/host-result.ts';
import { parseInventory } from '../../patcher/fleet/inventory.ts';
import { defaultInventory, readInventory } from '../../patcher/fleet/inventory-file.ts';
import { jsonLines } from '../../patcher/fleet/json-lines.ts';
import { hostFlags } from '../../patcher/fleet/run-fleet.ts';
import { isLatchkeyError } from '../../platform/errors.ts';

const refused = (work: () => unknown): { code: string; message: string; exit: number; field: string | undefined } => {
  try {
    work();
  } catch (error) {
    if (isLatchkeyError(error)) return error;
    throw error;
  }
  throw new Error('was not refused');
};
const inventory = (...hosts: string[]): string => `{\n  "hosts": [\n    ${hosts.join(',\n    ')}\n  ]\n}\n`;

describe('an inventory that is wrong is refused by line and field:', () => {
  test.each<[string, string, string]>([
    ['no JSON', 'hosts:\n  - a', 'line 1 has no value that JSON knows'],
    ['a comma too many', inventory('{ "name": "a", "local": true }', ''), 'line 5 has no value that JSON knows'],
    [
      'a member given twice',
      inventory('{ "name": "a",\n "ssh": "r@a", "ssh": "r@b" }'),
      'line 4 gives "hosts.0.ssh" a second time',
    ],
    ['two values', '{}\n{}', 'line 2 has more than one value'],
    ['no hosts', '{}', 'line 1: "hosts" must be a list'],
    ['an empty list', '{ "hosts": [] }', 'line 1: "hosts" must be at least 1 entries long'],
    [
      'an unknown field',
      inventory('{ "name": "a", "local": true,\n "password": "x" }'),
      'line 4: "hosts.0.password" is not a known field',
    ],
    ['a name that is missing', inventory('{ "local": true }'), 'line 3: "hosts.0.name" must be a string'],
    [
      'a name with a space',
      inventory('{ "name": "a b", "local": true }'),
      'line 3: "hosts.0.name" must be letters, digits, ".", "_" or "-", and 63 at most',
    ],
    ['neither ssh nor local', inventory('{ "name": "a" }'), 'line 3: "hosts.0.ssh" must be given, or "local": true'],
    [
      'both',
      inventory('{ "name": "a", "ssh": "r@a",\n"local": true }'),
      'line 4: "hosts.0.local" cannot be given together with "ssh"',
    ],
    [
      'an ssh target without a user',
      inventory('{ "name": "a", "ssh": "host" }'),
      'line 3: "hosts.0.ssh" must be user@host or user@host:port; the user is missing',
    ],
    [
      'a relative root',
      inventory('{ "name": "a", "local": true, "root": "www" }'),
      'line 3: "hosts.0.root" must be an absolute path without a slash at its end',
    ],
    [
      'a fingerprint cut short',
      inventory('{ "name": "a", "ssh": "r@a", "acceptHostKey": "SHA256:abc" }'),
      'line 3: "hosts.0.acceptHostKey" must be SHA256: and 43 characters',
    ],
    [
      'a trusted key for all hosts',
      '{ "defaults": { "acceptHostKey": "x" },\n "hosts": [] }',
      'line 1: "defaults.acceptHostKey" is not a known field',
    ],
    [
      'a name twice',
      inventory('{ "name": "a", "ssh": "r@a" }', '{ "name": "b", "ssh": "r@b" }', '{ "name": "a", "ssh": "r@c" }'),
      'line 5: "hosts.2.name" is the name of "hosts.0" (line 3) too',
    ],
    [
      'one place twice',
      inventory('{ "name": "a", "ssh": "r@A" }', '{ "name": "b", "ssh": "r@a" }'),
      'line 4: "hosts.1" is the same place as "hosts.0" (line 3) too',
    ],
  ])('%s', (_, text, words) => {
    expect(refused(() => parseInventory(text, '/etc'))).toMatchObject({
      code: 'inventory_invalid',
      exit: 2,
      message: `the inventory is not valid: ${words}`,
    });
  });

  test('nesting without end', () => {
    expect(refused(() => jsonLines('['.repeat(100_000))).message).toBe('line 1 is nested too deeply');
  });
});

test('jsonLines() takes what JSON.parse takes', () => {
  const value = { a: [1, -2.5e3, 'x\\"\n', { b: null }], c: {}, d: [] };
  const text = JSON.stringify(value, null, 2);
  expect(jsonLines(text).get('a.3.b')).toBe(text.slice(0, text.indexOf('null')).split('\n').length);
});

test('an inventory that others may write is refused', () => {
  const folder = mkdtempSync(join(tmpdir(), 'lk-inventory-'));
  const path = join(folder, 'inventory.json');
  writeFileSync(path, inventory('{ "name": "a", "local": true }'));
  chmodSync(path, 0o664);
  expect(refused(() => readInventory(path))).toMatchObject({ code: 'file_too_open', exit: 3 });
  chmodSync(path, 0o644);
  expect(readInventory(path)).toHaveLength(1);
  rmSync(folder, { recursive: true });
});

test('defaults are filled in, and paths of this machine are relative to the inventory', () => {
  const text = `{ "defaults": { "sudo": true, "identity": "keys/id", "php": "php8.2" }, "hosts": [
    { "name": "a", "ssh": "admin@a:2222", "knownHosts": "~/hosts", "root": "/srv/nc", "labels": ["blue"] },
    { "name": "b", "local": true, "sudo": false, "identity": "/k", "container": "nc" } ] }`;
  const [a, b] = parseInventory(text, '/home/me/lk');
  expect(a === undefined ? [] : hostFlags(a)).toEqual([
    ...['--ssh=admin@a:2222', '--identity=/home/me/lk/keys/id', `--known-hosts=${join(homedir(), 'hosts')}`],
    ...['--root=/srv/nc', '--php=php8.2', '--sudo'],
  ]);
  expect(b === undefined ? [] : hostFlags(b)).toEqual(['--local', '--identity=/k', '--php=php8.2', '--container=nc']);
});

test('the inventory is looked for in the configuration of the user', () => {
  expect(defaultInventory({ XDG_CONFIG_HOME: '/x', HOME: '/home/me' })).toBe('/x/latchkey/inventory.json');
  expect(defaultInventory({ XDG_CONFIG_HOME: 'relative', HOME: '/home/me' })).toBe(
    '/home/me/.config/latchkey/inventory.json',
  );
});

describe('hosts are chosen by', () => {
  const hosts = parseInventory(
    inventory(
      '{ "name": "a", "ssh": "r@a", "labels": ["blue"] }',
      '{ "name": "b", "ssh": "r@b", "labels": ["blue", "old"] }',
      '{ "name": "c", "ssh": "r@c" }',
    ),
    '/',
  );
  const names = (wish: Parameters<typeof chooseHosts>[1]): string[] => chooseHosts(hosts, wish).map(({ name }) => name);
  test('nothing at all: refused', () => {
    expect(refused(() => names({}))).toMatchObject({ code: 'usage', exit: 2 });
  });
  test('two ways at once: refused', () => {
    expect(refused(() => names({ all: true, only: 'a' }))).toMatchObject({ code: 'usage', exit: 2 });
  });
  test('a name or label that no host has: refused', () => {
    expect(refused(() => names({ only: 'a,x' }))).toMatchObject({ code: 'host_unknown', field: '--only' });
    expect(refused(() => names({ only: '' }))).toMatchObject({ code: 'host_unknown' });
    expect(refused(() => names({ label: 'green' }))).toMatchObject({ code: 'host_unknown', field: '--label' });
  });
  test('their names, labels, or all of them, in the order of the inventory', () => {
    expect(names({ only: 'c, a' })).toEqual(['a', 'c']);
    expect(names({ label: 'old,blue' })).toEqual(['a', 'b']);
    expect(names({ all: true })).toEqual(['a', 'b', 'c']);
  });
});

describe('what a host ended with is', () => {
  const judge = (command: string, exit: number, value: unknown) =>
    judgeEnding('a', command, { exit, stdout: typeof value === 'string' ? value : JSON.stringify(value) }, 5);
  test.each<[string, string, number, unknown, string, string]>([
    ['a refusal', 'apply', 3, { error: { code: 'no_way', message: 'not so' } }, 'refused', 'not so (no_way)'],
    ['a failure', 'apply', 1, { error: { code: 'no_way', message: 'not so' } }, 'failed', 'not so (no_way)'],
    ['wrong use', 'apply', 2, { error: { code: 'usage', message: 'not so' } }, 'failed', 'not so (usage)'],
    ['no report', 'apply', 0, 'words', 'failed', 'ended with exit code 0 and without a report'],
    ['a crash', 'apply', 139, '', 'failed', 'ended with exit code 139 and without a report'],
    ['a finding', 'audit', 1, { findings: [1, 2], clean: false }, 'found', '2 findings'],
    [
      'a repair that could not be verified',
      'apply',
      1,
      { changed: true, done: ['x'], verification: { untried: { code: 'unreachable' } } },
      'found',
      '1 step done, not verified: unreachable',
    ],
    ['nothing to do', 'apply', 0, { changed: false, done: [], verification: { untried: null } }, 'ok', 'nothing to do'],
    [
      'a plan',
      'plan',
      0,
      { steps: [1, 2], afterProof: [], obstacles: [{ code: 'x', blocking: true }] },
      'ok',
      'blocked by x, 2 steps',
    ],
    [
      'a look',
      'detect',
      0,
      { version: { versionString: '33.0.1' }, app: { state: 'absent' }, obstacles: [] },
      'ok',
      'nextcloud 33.0.1, app absent',
    ],
    [
      'a proof',
      'verify',
      0,
      { hook: 'app', release: { ms: 7 }, decrypt: true },
      'ok',
      'hook app, release in 7 ms, decryption works',
    ],
    [
      'a state',
      'status',
      0,
      { state: 'escrowed', keysAway: [1], problems: [] },
      'ok',
      'app escrowed, 1 keys away, 0 problems',
    ],
    ['an examination', 'doctor', 1, { counts: { bad: 2, warn: 0, good: 9 } }, 'found', '2 bad, 9 good'],
    ['no watch', 'watch status', 0, { installed: false, closed: false, failing: null }, 'ok', 'not watched'],
    [
      'a watch that fails',
      'watch status',
      1,
      { installed: true, closed: true, failing: { code: 'disk_full', failures: 3 } },
      'found',
      'watched, failing: disk_full, the web is closed',
    ],
    ['a report of another form', 'watch status', 0, { state: 'active' }, 'ok', 'active'],
  ])('%s', (_, command, exit, value, outcome, what) => {
    expect(judge(command, exit, value)).toMatchObject({ host: 'a', exit, outcome, what, ms: 5 });
  });
  test('late, when it had to be ended', () => {
    const late = judgeEnding('a', 'apply', { late: true, afterMs: 2000 }, 2001);
    expect(late).toMatchObject({ outcome: 'late', exit: null, result: null });
  });
  test('worth 3 when all were refused, 1 when any did not go well, and else 0', () => {
    const ok = judge('x', 0, {});
    const no = judge('x', 3, { error: { code: 'c', message: 'm' } });
    const found = judge('x', 1, {});
    expect([exitOf([no, no]), exitOf([no, ok]), exitOf([ok, found]), exitOf([ok, ok])]).toEqual([3, 1, 1, 0]);
  });
});

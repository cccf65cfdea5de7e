import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSecretFile } from '../../platform/files.ts';
import { run } from '../../platform/run.ts';
import { seriesName } from '../../wireguard/backup/backup-series.ts';
import { addBackupCommand } from '../../wireguard/commands/backup.ts';
import { addRestoreCommand } from '../../wireguard/commands/restore.ts';
import { hasProgram } from '../harness/programs.ts';
import { runCommand } from '../keyserver/command-runner.ts';
import { canary, type MadeHub, makeHub } from './made-hub.ts';

const NOW = Date.UTC(2026, 0, 31, 2, 3, 4, 567);

let hub: MadeHub;
beforeEach(async () => {
  hub = await makeHub();
});
afterEach(() => hub.remove());

const at = (name: string) => hub.at(name);
const secret = () => ['--backup-keyfile', hub.backupKeyfile];
const backup = (words: readonly string[], now = NOW) =>
  runCommand(addBackupCommand, ['backup', '--data', at('hub'), ...words], { now: () => now });
const restore = (...words: string[]) =>
  runCommand(addRestoreCommand, ['restore', '--data', at('restored'), ...words], { now: () => NOW });

describe('wghub backup', () => {
  it.each<[string, () => string[], number, string]>([
    ['no place', () => secret(), 2, 'one of --out and --folder'],
    ['two places', () => ['--out', at('a'), '--folder', hub.folder, ...secret()], 2, 'one of --out and --folder'],
    ['--keep without a folder', () => ['--out', at('a'), '--keep', '3', ...secret()], 2, '--keep goes with --folder'],
    ['to keep none', () => ['--folder', hub.folder, '--keep', '0', ...secret()], 2, '"--keep" must be a number from 1'],
    [
      'to keep 1e3',
      () => ['--folder', hub.folder, '--keep', '1e3', ...secret()],
      2,
      '"--keep" must be a number from 1',
    ],
    ['two secrets', () => ['--out', at('a'), ...secret(), '--backup-passphrase-file', 'x'], 2, 'only one of'],
    [
      'a secret and a recipient',
      () => ['--out', at('a'), ...secret(), '--age-recipient', 'age1x'],
      2,
      'takes the place',
    ],
    ['a recipient that is none', () => ['--out', at('a'), '--age-recipient', 'age1x'], 2, '"--age-recipient" must be'],
    ['nobody to ask', () => ['--out', at('a')], 2, 'no terminal to ask'],
    ['a file that is there', () => ['--out', hub.keyfile, ...secret()], 3, 'never overwritten'],
    ['a folder that is not there', () => ['--folder', at('none'), ...secret()], 1, 'could not be written'],
  ])('refuses %s', async (_, words, exit, text) => {
    const before = readdirSync(hub.folder).sort();
    const said = await backup(words());
    expect(said).toMatchObject({ exit, stdout: '' });
    expect(said.stderr).toContain(text);
    expect(readdirSync(hub.folder).sort()).toEqual(before);
  });

  it('says what was made, and nothing secret', async () => {
    const said = await backup(['--out', at('one'), ...secret()]);
    expect(said.exit).toBe(0);
    expect(said.stdout).toMatch(
      /^ok: .*one, [0-9]+ bytes, read back whole: 0 peers, 4 sealed secrets, 1 audit records\nsha256 [0-9a-f]{64}\n$/,
    );
    expect(said.stderr).toContain('the secret that opens the vault is not in it');
    expect(said.stdout + said.stderr).not.toContain(canary);
  });

  it('keeps the newest good ones of this hub in a folder, and touches nothing else', async () => {
    const folder = at('series');
    mkdirSync(folder);
    const words = ['--folder', folder, '--keep', '2', ...secret(), '--json'];
    const names = [0, 1, 2, 3].map((second) => seriesName('hub', NOW + second * 1000, false));
    const [first = '', second = '', third = '', fourth = ''] = names;
    const others = ['notes.txt', seriesName('hub', NOW - 5000, false), seriesName('other', NOW - 5000, false)];
    for (const name of others) writeFileSync(`${folder}/${name}`, 'not ours');

    await backup(words, NOW);
    await backup(words, NOW + 1000);
    const damaged = readFileSync(`${folder}/${second}`);
    damaged.writeUInt8(damaged.readUInt8(9000) ^ 1, 9000);
    writeFileSync(`${folder}/${second}`, damaged);
    const again = await backup(words, NOW + 2000);
    // the damaged one counts for nothing: the first is kept in its place
    expect(JSON.parse(again.stdout).series).toEqual({ kept: 2, removed: [], altered: [second] });
    expect(again.stderr).toContain(`${second} is not what it was when it was made`);
    const last = await backup(words, NOW + 3000);
    expect(JSON.parse(last.stdout).series).toEqual({ kept: 2, removed: [first], altered: [second] });
    expect(readdirSync(folder).sort()).toEqual([...others, second, third, fourth].sort());
    for (const name of others) expect(readFileSync(`${folder}/${name}`, 'utf8')).toBe('not ours');
  });

  it('removes nothing when the new one could not be made', async () => {
    const folder = at('series');
    mkdirSync(folder);
    const words = ['--folder', folder, '--keep', '1', ...secret()];
    await backup(words);
    writeFileSync(at('hub/vault.json'), '{}');
    expect((await backup(words, NOW + 1000)).exit).toBe(1);
    expect(readdirSync(folder)).toEqual([seriesName('hub', NOW, false)]);
  });
});

describe('wghub restore', () => {
  it.each<[string, () => string[], number, string]>([
    ['a backup that is not there', () => ['--from', at('none')], 2, 'there is no file'],
    ['a folder', () => ['--from', hub.folder, ...secret()], 1, 'could not be read (EISDIR)'],
    [
      'two databases',
      () => ['--from', hub.keyfile, '--database-from-environment', '--database-url-file', 'x'],
      2,
      'only',
    ],
    [
      'an identity for what age did not seal',
      () => ['--from', hub.keyfile, '--age-identity', 'x'],
      2,
      'not sealed by age',
    ],
    ['what is no backup', () => ['--from', hub.keyfile, ...secret()], 1, 'is no backup of a hub'],
  ])('refuses %s', async (_, words, exit, text) => {
    const said = await restore(...words());
    expect(said).toMatchObject({ exit, stdout: '' });
    expect(said.stderr).toContain(text);
    expect(existsSync(at('restored'))).toBe(false);
  });

  it('refuses a URL in $DATABASE_URL that is not set, and leaves nothing', async () => {
    await backup(['--out', at('one'), ...secret()]);
    const said = await restore('--from', at('one'), ...secret(), '--database-from-environment');
    expect(said.exit).toBe(2);
    expect(said.stderr).toContain('$DATABASE_URL is not set');
    expect(existsSync(at('restored'))).toBe(false);
  });

  it('says what is to be done, and refuses to do it again', async () => {
    await backup(['--out', at('one'), ...secret()]);
    const said = await restore('--from', at('one'), ...secret());
    expect(said.exit).toBe(0);
    for (const words of [
      'nothing is to be done on any device',
      'old hub is off',
      'used or revoked',
      'wghub spoke invites --data',
      'wg0  hub.example:51820',
      '--keyfile FILE',
    ]) {
      expect(said.stdout).toContain(words);
    }
    const again = await restore('--from', at('one'), ...secret(), '--json');
    expect(again.exit).toBe(3);
    expect(JSON.parse(again.stdout)).toMatchObject({ error: { code: 'data_exists' } });
  });
});

describe.skipIf(!hasProgram('age'))('the program age', () => {
  const age = (...words: string[]) => run(['age', ...words], { timeoutMs: 30_000 });
  let recipient: string;
  beforeEach(async () => {
    const made = await run(['age-keygen'], { timeoutMs: 30_000 });
    createSecretFile(at('identity'), made.stdout);
    recipient = /age1[a-z0-9]+/.exec(made.stdout.toString())?.[0] ?? '';
  });

  it('opens a backup made for a recipient, and what comes out is a backup in clear', async () => {
    const said = await backup(['--out', at('one.age'), '--age-recipient', recipient]);
    expect(said.exit).toBe(0);
    expect(said.stderr).toContain('that your identity opens it only you can try');
    await age('--decrypt', '-i', at('identity'), '-o', at('opened'), at('one.age'));
    expect(readFileSync(at('opened')).subarray(0, 28).toString()).toBe('latchkey hub backup 1 plain\n');
    expect(await restore('--from', at('opened'))).toMatchObject({ exit: 0 });
  });

  it('and the hub open what the other sealed', async () => {
    await backup(['--out', at('one.age'), '--age-recipient', recipient]);
    expect(await restore('--from', at('one.age'))).toMatchObject({ exit: 2, stdout: '' });
    expect(await restore('--from', at('one.age'), '--age-identity', at('identity'))).toMatchObject({ exit: 0 });
    rmSync(at('restored'), { recursive: true });
    await age('--decrypt', '-i', at('identity'), '-o', at('opened'), at('one.age'));
    await age('--encrypt', '-r', recipient, '-o', at('again.age'), at('opened'));
    expect(await restore('--from', at('again.age'), '--age-identity', at('identity'))).toMatchObject({ exit: 0 });
  });

  it('opens one made for two recipients with either identity', async () => {
    const other = await run(['age-keygen'], { timeoutMs: 30_000 });
    const second = /age1[a-z0-9]+/.exec(other.stdout.toString())?.[0] ?? '';
    createSecretFile(at('second'), other.stdout);
    await backup(['--out', at('one.age'), '--age-recipient', recipient, second]);
    const opened = [];
    for (const identity of ['identity', 'second']) {
      opened.push((await age('--decrypt', '-i', at(identity), at('one.age'))).stdout.length);
    }
    expect(new Set(opened).size).toBe(1);
    expect(opened[0]).toBeGreaterThan(100_000);
  });

  it('has no stanza in the file but those of its recipients', async () => {
    await backup(['--out', at('one.age'), '--age-recipient', recipient]);
    const header = readFileSync(at('one.age')).toString('latin1').split('\n---')[0] ?? '';
    expect(header.match(/^-> .*/gm)).toEqual([expect.stringMatching(/^-> X25519 [A-Za-z0-9+/]{43}$/)]);
  });
});

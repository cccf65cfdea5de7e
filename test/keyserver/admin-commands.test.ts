import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addAdminCommands } from '../../keyserver/commands/admin.ts';
import { readAudit } from '../../platform/audit-chain.ts';
import { systemRandom } from '../../platform/clock.ts';
import { runCommandHere, type Said } from '../harness/command-runner.ts';
import { makeTestData, type TestData } from './test-data.ts';

type ReadQr = (pixels: Uint8ClampedArray, width: number, height: number) => { readonly data: string } | null;
const readQr = createRequire(import.meta.url)('jsqr') as ReadQr;

let test: TestData;

beforeAll(async () => {
  test = await makeTestData();
});
afterAll(() => test.remove());

/** Runs a command in this process, as `main.ts` does, on a terminal where nobody can be asked. */
async function keyserver(command: string, ...argv: string[]) {
  return keyserverOn({}, command, ...argv);
}

function keyserverOn({ isTTY = false }, command: string, ...argv: string[]): Promise<Said> {
  const { clock } = test;
  clock.set(clock.now() + 1000);
  const words = [...command.split(' '), ...argv, '--data', test.data.directory];
  return runCommandHere(addAdminCommands, words, { program: 'keyserver', clock, ...(isTTY ? { typed: [] } : {}) });
}

function passwordFile(text: string, mode = 0o600): string {
  const path = join(test.folder, `password-${systemRandom(4).toString('hex')}`);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

const good = 'CANARY a long password';
const add = (name: string, ...more: string[]) =>
  keyserver('admin add', name, '--keyfile', test.keyfile, '--password-file', passwordFile(`${good}\n`), ...more);

/** Reads the picture off a terminal: each character is two cells, one above the other, dark where nothing is drawn. */
function scanTerminal(text: string): string | null {
  const lines = text.split('\n').filter((line) => /[\u2580\u2584\u2588]/.test(line));
  const wide = Math.max(...lines.map((line) => line.length));
  const scale = 4;
  const border = 4;
  const across = (wide + 2 * border) * scale;
  const down = (2 * lines.length + 2 * border) * scale;
  const pixels = new Uint8ClampedArray(across * down * 4).fill(255);
  const isDark = (x: number, y: number): boolean => {
    const sign = lines[y >> 1]?.[x] ?? ' ';
    return sign === '\u2588' || sign === (y % 2 === 0 ? '\u2580' : '\u2584');
  };
  for (let y = 0; y < down; y++) {
    for (let x = 0; x < across; x++) {
      if (!isDark(Math.floor(x / scale) - border, Math.floor(y / scale) - border)) continue;
      pixels.fill(0, (y * across + x) * 4, (y * across + x) * 4 + 3);
    }
  }
  return readQr(pixels, across, down)?.data ?? null;
}

describe('keyserver admin', () => {
  it.each([
    ['a name with capitals', 'Ann', good, 0o600, 2],
    ['a password of eleven characters', 'eve', 'x'.repeat(11), 0o600, 2],
    ['a password of two lines', 'eve', `${good}\n${good}`, 0o600, 2],
    ['a password that others may read', 'eve', good, 0o644, 3],
  ])('add refuses %s and adds nobody', async (_what, name, password, mode, exit) => {
    const file = passwordFile(password, mode);
    const said = await keyserver('admin add', name, '--keyfile', test.keyfile, '--password-file', file);
    expect(said).toMatchObject({ exit, stdout: '' });
    expect((await keyserver('admin list', '--json')).stdout).toContain('"admins": []');
  });

  it('add refuses where nobody can be asked, and without the secret of the vault', async () => {
    expect(await keyserver('admin add', 'eve', '--keyfile', test.keyfile)).toMatchObject({ exit: 2, stdout: '' });
    const said = await keyserver('admin add', 'eve', '--password-file', passwordFile(good));
    expect(said.stderr).toContain('sealed with a keyfile');
    expect((await keyserver('admin list')).stderr).toContain('nobody may use the pages yet');
  });

  it('add shows the secret once, as text and as a picture that authenticator apps read', async () => {
    const { exit, stdout } = await add('ann');
    expect(exit).toBe(0);
    const uri = /^uri\s+(\S+)$/m.exec(stdout)?.[1] ?? '';
    const secret = /^secret\s+([A-Z2-7]{32})$/m.exec(stdout)?.[1] ?? '?';
    expect(new URL(uri).searchParams.get('secret')).toBe(secret);
    expect(decodeURIComponent(new URL(uri).pathname)).toContain('Latchkey:ann@127.0.0.1');
    expect(scanTerminal(stdout)).toBe(uri);
    expect(stdout).toContain('pages   https://127.0.0.1:8443/admin');
    expect(await add('ann')).toMatchObject({ exit: 1, stdout: '' });
    const kept = ['keyserver.db', 'keyserver.db-wal', 'config.json']
      .map((file) => readFileSync(join(test.data.directory, file), 'latin1'))
      .join();
    for (const canary of ['CANARY', secret]) expect(kept).not.toContain(canary);
  });

  it('totp writes that picture dark on light on a terminal, whatever its own colours are', async () => {
    const said = await keyserverOn({ isTTY: true }, 'admin totp', 'ann', '--keyfile', test.keyfile);
    const lines = said.stdout.split('\n').filter((line) => /[\u2580\u2584\u2588]/.test(line));
    const start = '\u001b[30;107m';
    expect(lines.every((line) => line.startsWith(start) && line.endsWith('\u001b[0m'))).toBe(true);
    const bare = lines.map((line) => line.slice(start.length, -4)).join('\n');
    expect(scanTerminal(bare)).toBe(/^uri\s+(\S+)$/m.exec(said.stdout)?.[1]);
  });

  it('password and totp change what was there, and nothing of who is not there', async () => {
    const list = async () =>
      JSON.parse((await keyserver('admin list', '--json')).stdout) as { admins: { changedAt: number }[] };
    const before = (await list()).admins[0]?.changedAt ?? 0;
    const file = passwordFile('CANARY another long one');
    expect(await keyserver('admin password', 'ann', '--password-file', file)).toMatchObject({ exit: 0, stderr: '' });
    const said = await keyserver('admin totp', 'ann', '--keyfile', test.keyfile, '--json');
    expect(JSON.parse(said.stdout)).toMatchObject({ name: 'ann', totpSecret: expect.stringMatching(/^[A-Z2-7]{32}$/) });
    expect((await list()).admins[0]?.changedAt).toBeGreaterThan(before);
    for (const command of ['admin password nobody', 'admin totp nobody --keyfile', 'admin remove nobody']) {
      const more = command.includes('password')
        ? ['--password-file', file]
        : command.includes('totp')
          ? [test.keyfile]
          : [];
      expect(await keyserver(command, ...more)).toMatchObject({ exit: 1, stdout: '' });
    }
  });

  it('remove takes away, and every step is on record without a secret', async () => {
    expect((await keyserver('admin remove', 'ann')).exit).toBe(0);
    const rows = await test.data.store.read((tx) => readAudit(tx, 0, 1000));
    const events = rows.map(({ body }) => String((JSON.parse(body) as { event: string }).event));
    expect(events.filter((event) => event.startsWith('admin_'))).toEqual([
      'admin_added',
      'admin_totp_changed',
      'admin_password_changed',
      'admin_totp_changed',
      'admin_removed',
    ]);
    expect(JSON.stringify(rows)).not.toContain('CANARY');
  });
});

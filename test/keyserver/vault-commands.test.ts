import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addAuditCommands } from '../../keyserver/commands/audit.ts';
import { addDoctorCommand } from '../../keyserver/commands/doctor.ts';
import { addInitCommand } from '../../keyserver/commands/init.ts';
import { addStatusCommand } from '../../keyserver/commands/status.ts';
import { addVaultCommands } from '../../keyserver/commands/vault.ts';
import { type Argv, BackgroundProcess } from '../harness/background-process.ts';
import { projectProgram } from '../harness/keyserver-process.ts';
import { runCommand } from './command-runner.ts';
import { freePort } from './made-server.ts';

let folder: string;
let data: string;
let server: BackgroundProcess;
const path = (name: string) => join(folder, name);
const program = projectProgram('keyserver/main.ts');

async function keyserver(...argv: string[]) {
  const add = [addInitCommand, addVaultCommands, addDoctorCommand, addStatusCommand, addAuditCommands];
  return runCommand((program, io) => add.forEach((one) => void one(program, io)), [...argv, '--data', data]);
}

const json = (said: { stdout: string }) => JSON.parse(said.stdout) as Record<string, unknown>;
const vaultText = () => readFileSync(join(data, 'vault.json'), 'utf8');

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-vault-'));
  data = path('data');
  const listen = `127.0.0.1:${await freePort()}`;
  expect((await keyserver('init', '--listen', listen, '--keyfile', path('first'))).exit).toBe(0);
  const start: Argv = [...program, 'start', '--data', data, '--keyfile', path('first')];
  server = await BackgroundProcess.start(start, { readyWhen: /^serving /m });
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

describe('keyserver vault, beside a running server', () => {
  it.each([
    ['without the present secret', ['rekey', '--new-keyfile', 'NEW'], 2, 'this vault is sealed with a keyfile'],
    ['with a wrong present secret', ['rekey', '--keyfile', 'WRONG', '--new-keyfile', 'NEW'], 1, 'does not open'],
    [
      'with two new secrets',
      ['rekey', '--keyfile', 'FIRST', '--new-keyfile', 'NEW', '--new-credential', 'x'],
      2,
      'one',
    ],
    ['with nobody to ask for the new one', ['rekey', '--keyfile', 'FIRST'], 2, 'no terminal to ask'],
    ['into one share', ['split', '--keyfile', 'FIRST', '--shares', '1', '--threshold', '1'], 2, '"--shares"'],
    [
      'with more needed than there are',
      ['split', '--keyfile', 'FIRST', '--shares', '2', '--threshold', '3'],
      2,
      'thresh',
    ],
  ])('changes nothing %s', async (_, argv, exit, words) => {
    writeFileSync(path('wrong'), Buffer.alloc(32, 1), { mode: 0o600 });
    const before = vaultText();
    const said = await keyserver(
      'vault',
      ...argv.map((word) => (/^[A-Z]+$/.test(word) ? path(word.toLowerCase()) : word)),
    );
    expect(said).toMatchObject({ exit, stdout: '' });
    expect(said.stderr).toContain(words);
    expect(vaultText()).toBe(before);
    expect(existsSync(path('new'))).toBe(false);
  });

  it('rekey ends the old key file, and split ends the new one; the server does not notice', async () => {
    const rekeyed = await keyserver('vault', 'rekey', '--keyfile', path('first'), '--new-keyfile', path('second'));
    expect(rekeyed).toMatchObject({ exit: 0 });
    expect(rekeyed.stdout).toBe(
      'the vault is sealed with a keyfile now; the secret before it opens nothing here any more\n',
    );
    expect(statSync(path('second')).mode & 0o777).toBe(0o600);
    expect((await keyserver('doctor', '--keyfile', path('first'))).exit).toBe(1);
    expect((await keyserver('doctor', '--keyfile', path('second'))).exit).toBe(0);

    const split = ['vault', 'split', '--keyfile', path('second'), '--shares', '3', '--threshold', '2'];
    expect((await keyserver(...split, '--out', path('shares'))).stdout).toMatch(
      /^any 2 of these 3 shares open the vault/,
    );
    const files = readdirSync(path('shares')).map((name) => join(path('shares'), name));
    expect(files).toHaveLength(3);
    expect(files.map((file) => statSync(file).mode & 0o777)).toEqual([0o600, 0o600, 0o600]);
    const [first = '', second = '', third = ''] = files;

    const few = await keyserver('doctor', '--share-file', second);
    expect(few).toMatchObject({ exit: 2 });
    expect(few.stderr).toMatch(/error: 2 shares of set [0-9a-f]{8} are needed, 1 given \(2\)/);
    expect((await keyserver('doctor', '--keyfile', path('second'))).stderr).toContain(
      'this vault is sealed with shares',
    );
    expect((await keyserver('doctor', '--share-file', third, first)).exit).toBe(0);
    expect((await keyserver('doctor', '--share-file', first, '--share-file', second)).exit).toBe(0);

    const printed = json(
      await keyserver('vault', 'split', '--share-file', first, second, '--shares', '2', '--threshold', '2', '--json'),
    );
    expect(printed.shares).toHaveLength(2);
    const stale = await keyserver('doctor', '--share-file', first, second);
    expect(stale.stderr).toContain(`${first} belongs to set`);

    const status = json(await keyserver('status', '--json'));
    expect(status).toMatchObject({ sealedWith: 'shares', health: 'ok' });
    const { records } = json(await keyserver('audit', 'tail', '--json')) as {
      records: { event: string; detail: Record<string, string> }[];
    };
    expect(records.filter(({ event }) => event === 'vault_rekeyed').map(({ detail }) => detail)).toEqual([
      { was: 'keyfile', sealed_with: 'keyfile' },
      { was: 'keyfile', sealed_with: 'shares' },
      { was: 'shares', sealed_with: 'shares' },
    ]);
  });

  it('start opens a vault with the shares in files', async () => {
    await server.stop();
    const out = path('again');
    const before = ['--shares', '3', '--threshold', '2', '--out', out];
    data = path('data-of-shares');
    const listen = `127.0.0.1:${await freePort()}`;
    await keyserver('init', '--listen', listen, '--keyfile', path('third'));
    expect((await keyserver('vault', 'split', '--keyfile', path('third'), ...before)).exit).toBe(0);
    const files = readdirSync(out)
      .slice(1)
      .flatMap((name) => ['--share-file', join(out, name)]);
    const start = [...program, 'start', '--data', data, ...files] as unknown as Argv;
    server = await BackgroundProcess.start(start, { readyWhen: /^serving /m });
    expect(json(await keyserver('status', '--json'))).toMatchObject({ health: 'ok' });
  });
});

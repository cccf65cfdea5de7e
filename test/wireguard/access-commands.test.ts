import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { SignJWT } from 'jose';
import { CompiledQuery } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { appendAudit } from '../../platform/audit-chain.ts';
import type { CommandIo } from '../../platform/command-io.ts';
import { totpCode, totpSecretBytes, totpStep } from '../../platform/totp.ts';
import { addAdminCommands } from '../../wireguard/commands/admin.ts';
import { addAuditCommands } from '../../wireguard/commands/audit.ts';
import { addJwtCommands } from '../../wireguard/commands/jwt.ts';
import { addTokenCommands } from '../../wireguard/commands/token.ts';
import { runCommandHere } from '../harness/command-runner.ts';
import { type RunningHub, startRunningHub, testPassword } from './running-hub.ts';

let hub: RunningHub;

beforeAll(async () => {
  hub = await startRunningHub({ config: { audience: 'wghub' } });
});
afterAll(() => hub.stop());
beforeEach(() => {
  hub.clock.skew += 7_200_000;
});

/** Runs a command in this process, as `main.ts` does, beside the running hub, on a terminal where nobody can be asked. */
async function wghub(...argv: string[]) {
  const build = (program: Command, io: CommandIo) => {
    addAdminCommands(program, io);
    addTokenCommands(program, io);
    addJwtCommands(program, io);
    addAuditCommands(program, io);
  };
  const said = await runCommandHere(build, [...argv, '--data', hub.data.directory], {
    program: 'wghub',
    clock: hub.clock,
  });
  return { ...said, json: () => JSON.parse(said.stdout) };
}

function file(content: string | Uint8Array, mode = 0o600): string {
  const path = join(hub.folder, `file-${randomBytes(6).toString('hex')}`);
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

const open = (): string[] => ['--keyfile', hub.keyfile];
const withPassword = (): string[] => ['--password-file', file(`${testPassword}\n`)];
const add = (name: string, ...more: string[]) => wghub('admin', 'add', name, ...open(), ...withPassword(), ...more);
const events = async () => (await hub.audit()).map(({ event }) => event);

describe('wghub admin', () => {
  test.each<[string, string, () => string[], number]>([
    ['a name with capitals', 'Ann', withPassword, 2],
    ['a password of eleven characters', 'eve', () => ['--password-file', file('x'.repeat(11))], 2],
    ['a password of two lines', 'eve', () => ['--password-file', file(`${testPassword}\n${testPassword}`)], 2],
    ['a password that others may read', 'eve', () => ['--password-file', file(testPassword, 0o644)], 3],
    ['a role that there is not', 'eve', () => [...withPassword(), '--role', 'god'], 2],
    ['nobody who could be asked for the password', 'eve', () => [], 2],
  ])('add refuses %s and adds nobody', async (_, name, more, exit) => {
    expect(await wghub('admin', 'add', name, ...open(), ...more())).toMatchObject({ exit, stdout: '' });
    expect((await wghub('admin', 'list', '--json')).json()).toEqual({ accounts: [] });
    expect(await events()).not.toContain('account_added');
  });

  test('add shows a secret whose codes log in to the running hub', async () => {
    const { exit, stdout } = await add('ann');
    expect(exit).toBe(0);
    const secret = /^secret\s+([A-Z2-7]{32})$/m.exec(stdout)?.[1] ?? '';
    const uri = new URL(/^uri\s+(\S+)$/m.exec(stdout)?.[1] ?? '');
    expect(uri.searchParams.get('secret')).toBe(secret);
    expect(stdout).toMatch(/[\u2580\u2584\u2588]/);
    const code = totpCode(totpSecretBytes(secret), totpStep(hub.clock.now()));
    const body = { name: 'ann', password: testPassword, code };
    expect(await hub.request('POST', '/api/login', { body })).toMatchObject({ status: 200, body: { role: 'admin' } });
    expect(await add('ann')).toMatchObject({ exit: 1, stdout: '' });
  });

  test('remove and role leave at least one admin', async () => {
    for (const argv of [
      ['remove', 'ann'],
      ['role', 'ann', 'operator'],
    ]) {
      const said = await wghub('admin', ...argv);
      expect(said).toMatchObject({ exit: 3, stdout: '' });
      expect(said.stderr).toContain('ann is the only admin, and one must remain');
    }
    expect((await add('vera', '--role', 'viewer', '--json')).json()).toMatchObject({ name: 'vera', role: 'viewer' });
    expect((await wghub('admin', 'remove', 'ann')).exit).toBe(3);
    expect((await wghub('admin', 'role', 'vera', 'admin')).exit).toBe(0);
    expect((await wghub('admin', 'remove', 'ann')).exit).toBe(0);
    expect((await wghub('admin', 'remove', 'vera')).exit).toBe(3);
    expect((await wghub('admin', 'role', 'vera', 'king')).exit).toBe(2);
    expect((await wghub('admin', 'list', '--json')).json()).toMatchObject({
      accounts: [{ name: 'vera', role: 'admin' }],
    });
  });

  test('password and totp change what was there, and nothing of who is not there', async () => {
    const changedAt = async () => (await wghub('admin', 'list', '--json')).json().accounts[0].changedAt;
    const before = await changedAt();
    expect((await wghub('admin', 'password', 'vera', ...withPassword())).exit).toBe(0);
    expect(await changedAt()).toBeGreaterThan(before);
    expect((await wghub('admin', 'totp', 'vera', ...open(), '--json')).json().totpSecret).toMatch(/^[A-Z2-7]{32}$/);
    expect(await wghub('admin', 'logout', 'vera')).toMatchObject({
      exit: 0,
      stdout: 'logged vera out; sessions of before are over\n',
    });
    const kept = await events();
    for (const argv of [
      ['logout', 'eve'],
      ['password', 'eve', ...withPassword()],
      ['totp', 'eve', ...open()],
      ['role', 'eve', 'viewer'],
      ['remove', 'eve'],
    ]) {
      expect(await wghub('admin', ...argv)).toMatchObject({ exit: 1, stdout: '' });
    }
    expect(await events()).toEqual(kept);
  });
});

describe('wghub token', () => {
  test.each<[string, string[], string]>([
    ['no scope', ['backend'], '--scopes'],
    ['a scope that there is not', ['backend', '--scopes', 'everything'], '"--scopes" must be of peers:read'],
    ['a scope twice', ['backend', '--scopes', 'devices', 'devices'], 'must not name a scope twice'],
    ['a name with a space', ['back end', '--scopes', 'devices'], 'must be 1 to 63'],
    ['an end that is no number', ['backend', '--scopes', 'devices', '--expires-in-days', 'never'], '--expires-in-days'],
  ])('add refuses %s and makes none', async (_, argv, words) => {
    const said = await wghub('token', 'add', ...argv);
    expect(said).toMatchObject({ exit: 2, stdout: '' });
    expect(said.stderr).toContain(words);
    expect((await wghub('token', 'list', '--json')).json()).toEqual({ tokens: [] });
  });

  test('add makes one that the running hub takes, until it ends or is removed', async () => {
    const said = await wghub(
      'token',
      'add',
      'backend',
      '--scopes',
      'devices',
      'metrics:read',
      '--expires-in-days',
      '1',
    );
    const token = /^token {3}(lkt_[A-Za-z0-9_-]{43})$/m.exec(said.stdout)?.[1] ?? '';
    const status = async () => (await hub.request('GET', '/api/metrics', { token })).status;
    expect(await status()).toBe(200);
    expect(await wghub('token', 'add', 'backend', '--scopes', 'devices')).toMatchObject({ exit: 1, stdout: '' });
    expect((await wghub('token', 'list')).stdout).toMatch(/^backend .* devices metrics:read$/m);
    hub.clock.skew += 86_400_000 - 60_000;
    expect(await status()).toBe(200);
    hub.clock.skew += 60_000;
    expect(await status()).toBe(401);
    const other = (await wghub('token', 'add', 'other', '--scopes', 'metrics:read', '--json')).json().token;
    expect((await hub.request('GET', '/api/metrics', { token: other })).status).toBe(200);
    expect((await wghub('token', 'remove', 'other')).exit).toBe(0);
    expect((await hub.request('GET', '/api/metrics', { token: other })).status).toBe(401);
    expect((await wghub('token', 'remove', 'other')).exit).toBe(1);
    // however they are written down
    const scopes = ['--scopes', 'metrics:read,devices', 'hub:read'];
    expect((await wghub('token', 'add', 'commas', ...scopes, '--json')).json().scopes).toEqual([
      'hub:read',
      'devices',
      'metrics:read',
    ]);
    expect((await wghub('token', 'remove', 'commas')).exit).toBe(0);
  });
});

describe('wghub jwt', () => {
  const pair = generateKeyPairSync('ed25519');
  const pem = pair.publicKey.export({ format: 'pem', type: 'spki' }).toString();

  test.each<[string, () => string[], number]>([
    ['neither a key nor a secret', () => [], 2],
    ['both', () => ['--public-key-file', file(pem), '--secret-file', file(randomBytes(32))], 2],
    ['a secret that others may read', () => ['--secret-file', file(randomBytes(32), 0o640)], 3],
    ['a secret of 31 bytes', () => ['--secret-file', file(randomBytes(31))], 2],
    ['a text that is no key', () => ['--public-key-file', file('x'.repeat(64))], 2],
    ['a file that is not there', () => ['--public-key-file', join(hub.folder, 'nothing')], 1],
  ])('add refuses %s and believes nobody', async (_, more, exit) => {
    expect(await wghub('jwt', 'add', 'shop', ...open(), ...more())).toMatchObject({ exit, stdout: '' });
    expect((await wghub('jwt', 'list', '--json')).json()).toEqual({ keys: [] });
  });

  test('add makes the running hub believe what jose signs, remove ends it', async () => {
    const secret = randomBytes(32);
    const sign = (kid: string, alg: string, key: Parameters<SignJWT['sign']>[0]) =>
      new SignJWT({ sub: 'worker' })
        .setProtectedHeader({ alg, kid })
        .setAudience('wghub')
        .setIssuedAt(hub.clock.now() / 1000)
        .setExpirationTime(hub.clock.now() / 1000 + 60)
        .sign(key);
    const actor = async (token: string) => (await hub.request('GET', '/api/session', { token })).body.actor;
    await wghub('jwt', 'add', 'shop', ...open(), '--public-key-file', file(pem));
    await wghub('jwt', 'add', 'old', ...open(), '--secret-file', file(secret));
    expect(await wghub('jwt', 'add', 'old', ...open(), '--secret-file', file(secret))).toMatchObject({ exit: 1 });
    expect(await actor(await sign('shop', 'EdDSA', pair.privateKey))).toBe('jwt:shop/worker');
    expect(await actor(await sign('old', 'HS256', secret))).toBe('jwt:old/worker');
    expect((await wghub('jwt', 'list')).stdout).toMatch(/^old\s+HS256.*\nshop\s+EdDSA/m);
    expect((await wghub('jwt', 'remove', 'old')).exit).toBe(0);
    expect(await actor(await sign('old', 'HS256', secret))).toBeUndefined();
    expect((await wghub('jwt', 'remove', 'old')).exit).toBe(1);
  });
});

describe('wghub audit', () => {
  test('list shows the last records, or those after one, each on one line', async () => {
    const { records } = (await wghub('audit', 'list', '--json', '--lines', '3')).json();
    expect(records).toHaveLength(3);
    const after = (await wghub('audit', 'list', '--after', String(records[0].seq))).stdout.trimEnd().split('\n');
    expect(after).toHaveLength(2);
    expect(after.join()).toContain('jwt_key_removed');
    for (const wrong of [
      ['--lines', '0'],
      ['--lines', '1e3'],
      ['--after', '-1'],
    ]) {
      expect((await wghub('audit', 'list', ...wrong)).exit).toBe(2);
    }
  });

  test('list cannot be made to move the cursor by what others are called', async () => {
    const detail = { name: 'a\u001b[2J\u202eb\nc' };
    await hub.data.store.transaction((tx) => appendAudit(tx, { time: hub.clock.now(), event: 'peer_created', detail }));
    const { stdout } = await wghub('audit', 'list', '--lines', '1');
    expect(stdout.trimEnd()).toMatch(/ name="a\\u001b\[2J\\u\{202e\}b\\nc"$/);
  });

  test('every change is on record, with who did it', async () => {
    const records = (await hub.audit()).filter(({ detail }) => detail?.by === 'command');
    expect(new Set(records.map(({ event }) => event))).toEqual(
      new Set([
        'account_added',
        'account_removed',
        'account_role_changed',
        'account_password_changed',
        'account_totp_changed',
        'account_logged_out',
        'token_made',
        'token_removed',
        'jwt_key_added',
        'jwt_key_removed',
      ]),
    );
  });

  test('verify says so when all is well, and names a record that was changed', async () => {
    expect((await wghub('audit', 'verify')).stdout).toMatch(/^ok: \d+ records follow each other/);
    const sql = "update audit set body = replace(body, 'vera', 'mallory') where body like '%vera%'";
    await hub.data.store.transaction((tx) => tx.executeQuery(CompiledQuery.raw(sql)));
    const said = await wghub('audit', 'verify');
    expect(said).toMatchObject({ exit: 1, stdout: '' });
    expect(said.stderr).toMatch(/audit record \d+: its hash does not follow/);
  });
});

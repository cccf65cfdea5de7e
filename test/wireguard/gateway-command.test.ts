import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addGatewayCommands } from '../../wireguard/commands/gateway.ts';
import { runCommand } from '../keyserver/command-runner.ts';
import { type RunningHub, startRunningHub } from './running-hub.ts';
import { askSigned, type TestGateway } from './signed-request.ts';

let hub: RunningHub;
let folder: string;
beforeAll(async () => {
  hub = await startRunningHub();
  folder = mkdtempSync(join(tmpdir(), 'lk-gateway-command-'));
});
afterAll(async () => {
  await hub.stop();
  rmSync(folder, { recursive: true });
});

/** Beside the running hub, as an administrator would. */
const gateway = (command: string, ...args: string[]) => {
  const key = ['add', 'rotate'].includes(command) ? ['--keyfile', hub.keyfile] : [];
  return runCommand(addGatewayCommands, ['gateway', command, ...args, '--data', hub.data.directory, ...key]);
};
const played = (name: string, text: string): TestGateway => ({ name, secret: Buffer.from(text, 'base64url') });
const usage = async (as: TestGateway): Promise<number> => (await askSigned(hub, as, 'GET', '/api/v1/ip-usage')).status;
const everything = (): Promise<string> =>
  hub.data.store.read(async (db) => JSON.stringify(await db.selectFrom('gateway').selectAll().execute()));

test('a gateway that was added is let in at once, and its secret was shown once', async () => {
  const { exit, stdout, stderr } = await gateway('add', 'berlin');
  expect([exit, stderr]).toEqual([0, 'wghub: hint: the secret is shown this once\n']);
  const secret = /^secret {2}([\w-]{43})$/m.exec(stdout)?.[1] ?? '';
  expect(await usage(played('berlin', secret))).toBe(200);
  const shown = await gateway('list');
  expect(shown.stdout).toMatch(
    /^NAME +INTERFACE +PAYLOADS +SECRET +ADDED +USED\nberlin +wg0 +either +current +\S+Z +\S+Z\n$/,
  );
  expect(shown.stdout + JSON.stringify(await hub.audit()) + hub.log()).not.toContain(secret);
});

test('a secret goes to a file that only its owner may read, and is not shown', async () => {
  const out = join(folder, 'paris.secret');
  const { exit, stdout, stderr } = await gateway('add', 'paris', '--payloads', 'sealed', '--out', out, '--json');
  expect([exit, stderr, statSync(out).mode & 0o777]).toEqual([0, '', 0o600]);
  const text = readFileSync(out, 'utf8');
  expect(text).toMatch(/^[\w-]{43}\n$/);
  expect(stdout).not.toContain(text.trim());
  expect(JSON.parse(stdout)).toEqual({ gateway: 'paris', interface: 'wg0', payloads: 'sealed', out });
  expect(await usage(played('paris', text.trim()))).toBe(200);
});

test.each<[string, readonly string[], number, string]>([
  ['a name that is none', ['add', 'Ber lin'], 2, 'must be 1 to 63 of'],
  ['a name that is there', ['add', 'berlin'], 1, 'there is a gateway named berlin already'],
  ['an interface that is not', ['add', 'oslo', '--interface', 'wg9'], 2, 'there is no such interface'],
  ['payloads of another kind', ['add', 'oslo', '--payloads', 'some'], 2, '--payloads'],
  ['a gateway that is not', ['rotate', 'oslo'], 2, 'there is no such gateway'],
  ['a gateway that is not', ['remove', 'oslo'], 2, 'there is no such gateway'],
])('is refused for %s: %j', async (_, [command = '', ...args], exit, words) => {
  const before = await everything();
  const out = join(folder, 'none.secret');
  const to = command === 'remove' ? [] : ['--out', out];
  const said = await gateway(command, ...args, ...to);
  expect([said.exit, said.stdout]).toEqual([exit, '']);
  expect(said.stderr).toContain(words);
  expect(await everything()).toBe(before);
  expect(existsSync(out)).toBe(false);
});

test('a file that is there is never written over, and nothing is stored then', async () => {
  const out = join(folder, 'precious');
  writeFileSync(out, 'precious');
  const before = await everything();
  for (const [command, name] of [
    ['add', 'oslo'],
    ['rotate', 'berlin'],
  ] as const) {
    expect(await gateway(command, name, '--out', out)).toMatchObject({ exit: 3, stdout: '' });
  }
  expect([readFileSync(out, 'utf8'), await everything()]).toEqual(['precious', before]);
});

test('a new secret takes over beside the running hub, when it is used or at once', async () => {
  const made = async (...args: string[]): Promise<TestGateway> => {
    const { stdout } = await gateway(...(args as [string, ...string[]]), '--json');
    return played('tokyo', JSON.parse(stdout).secret);
  };
  const first = await made('add', 'tokyo');
  const second = await made('rotate', 'tokyo');
  expect((await gateway('list')).stdout).toMatch(/^tokyo .* new one unused /m);
  expect([await usage(first), await usage(second), await usage(first)]).toEqual([200, 200, 401]);
  const third = await made('rotate', 'tokyo', '--at-once');
  expect([await usage(second), await usage(third)]).toEqual([401, 200]);
});

describe('a gateway that is removed', () => {
  const withPeers = async (name: string): Promise<TestGateway> => {
    const { stdout } = await gateway('add', name, '--json');
    const as = played(name, JSON.parse(stdout).secret);
    for (let i = 0; i < 3; i++) {
      expect(await askSigned(hub, as, 'POST', '/api/v1/configurations/', { body: {} })).toMatchObject({ status: 201 });
    }
    return as;
  };
  const peersOf = (owner: string) =>
    hub.data.store.read((db) =>
      db.selectFrom('peer').select('id').where('owner', '=', owner).where('status', '<>', 'deleted').execute(),
    );

  test('is let in no more, and its peers stay unless they are to go', async () => {
    const lima = await withPeers('lima');
    const cairo = await withPeers('cairo');
    const said = await gateway('remove', 'lima');
    expect(said).toMatchObject({ exit: 0, stdout: 'removed gateway lima\n' });
    expect(said.stderr).toContain('its peers stay');
    expect([await usage(lima), (await peersOf('lima')).length]).toEqual([401, 3]);
    const { exit, stdout } = await gateway('remove', 'cairo', '--with-peers', '--json');
    expect([exit, JSON.parse(stdout)]).toEqual([
      0,
      { removed: 'cairo', peersRemoved: 3, peersLeft: false, hub: 'live' },
    ]);
    expect([await usage(cairo), (await peersOf('cairo')).length]).toEqual([401, 0]);
  });
});

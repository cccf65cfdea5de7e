import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { addInitCommand } from '../../wireguard/commands/init.ts';
import { addSpokeCommands } from '../../wireguard/commands/spoke.ts';
import { addStatusCommand } from '../../wireguard/commands/status.ts';
import { allAtOnce } from './at-once.ts';
import { runHubCommand } from './command-runner.ts';
import { type HubWish, type RunningHub, startRunningHub } from './running-hub.ts';

const order = { networkCIDR: '10.40.0.0/16', listenPort: 51999, endpoint: 'hub.example', dns: ['10.40.0.1'] };
const tokens = [
  { name: 'ops', scopes: ['hub:write', 'hub:read', 'peers:write'] as const },
  { name: 'reader', scopes: ['hub:read'] as const },
];

let hub: RunningHub;
const start = async (wish: HubWish): Promise<void> => {
  hub = await startRunningHub(wish);
  onTestFinished(() => hub.stop());
};

const initialize = (body: unknown, token = 'ops') => hub.request('POST', '/api/hub/initialize', { token, body });

test('makes the first interface of a hub that has none, which takes peers at once', async () => {
  await start({ tokens, interface: null });
  expect((await hub.request('GET', '/api/hub/status', { token: 'ops' })).body.code).toBe('INTERFACE_UNKNOWN');
  const { status, body, text } = await initialize({ ...order, networkCIDR6: 'fd00:40::/64' });
  expect(status).toBe(201);
  expect(body).toMatchObject({
    success: true,
    hubConfig: {
      interface: 'wg0',
      networks: ['10.40.0.0/16', 'fd00:40::/64'],
      addresses: ['10.40.0.1/16', 'fd00:40::1/64'],
      listenPort: 51999,
      endpoint: 'hub.example:51999',
      dns: ['10.40.0.1'],
      keepalive: 25,
      live: true,
    },
  });
  expect(text).not.toMatch(/private/i);
  const peer = await hub.request('POST', '/api/peers', { token: 'ops', body: { name: 'phone' } });
  expect(peer.body.peer.addresses[0]).toBe('10.40.0.2/32');
  const record = (await hub.audit()).find(({ event }) => event === 'interface_made');
  expect(record).toMatchObject({ detail: { by: 'token:ops', interface: 'wg0' } });
  const again = await initialize(order);
  expect([again.status, again.body.code]).toEqual([409, 'HUB_ALREADY_INITIALIZED']);
});

test('takes name servers with commas between them, and an endpoint with a port of its own', async () => {
  await start({ tokens, interface: null });
  const { body } = await initialize({
    networkCIDR: '10.40.0.0/24',
    endpoint: '[2001:db8::1]:7000',
    dns: '10.40.0.1, 9.9.9.9,',
  });
  expect(body.hubConfig).toMatchObject({
    listenPort: 51820,
    endpoint: '[2001:db8::1]:7000',
    dns: ['10.40.0.1', '9.9.9.9'],
  });
});

test('refuses each field that does not hold, by its name, and makes nothing', async () => {
  await start({ tokens, interface: null });
  for (const [change, field] of [
    [{ networkCIDR: undefined }, 'networkCIDR'],
    [{ networkCIDR: '10.40.0.0' }, 'networkCIDR'],
    [{ networkCIDR: '10.40.0.1/24' }, 'networkCIDR'],
    [{ networkCIDR: '10.0.0.0/7' }, 'networkCIDR'],
    [{ networkCIDR: '10.0.0.0/31' }, 'networkCIDR'],
    [{ networkCIDR: 'fd00::/64' }, 'networkCIDR'],
    [{ networkCIDR6: '10.50.0.0/24' }, 'networkCIDR6'],
    [{ networkCIDR6: 'fd00::/80' }, 'networkCIDR6'],
    [{ listenPort: 0 }, 'listenPort'],
    [{ listenPort: 65_536 }, 'listenPort'],
    [{ listenPort: '51820' }, 'listenPort'],
    [{ endpoint: undefined }, 'endpoint'],
    [{ endpoint: 'hub example' }, 'endpoint'],
    [{ endpoint: 'hub.example:99999' }, 'endpoint'],
    [{ dns: ['name.example'] }, 'dns'],
    [{ dns: 'name.example' }, 'dns'],
    [{ privateKey: 'x' }, 'privateKey'],
  ] as const) {
    const { status, body } = await initialize({ ...order, ...change });
    expect([change, status, body.field]).toEqual([change, 400, field]);
  }
  expect((await hub.request('GET', '/api/hub/status', { token: 'ops' })).status).toBe(404);
  expect((await initialize(order, 'reader')).status).toBe(403);
});

test('until it is made nobody is invited, and the answer says what is missing', async () => {
  await start({ tokens, interface: null });
  const body = { spokeName: 'attic' };
  const early = await hub.request('POST', '/api/installation/token', { token: 'ops', body });
  expect([early.status, early.body.code]).toEqual([404, 'INTERFACE_UNKNOWN']);
  expect(early.body.recoveryHint).toContain('POST /api/hub/initialize');
});

test('of ten at once one makes it', async () => {
  await start({ tokens, interface: null });
  const replies = await allAtOnce(hub.data.store, 10, () => initialize(order));
  const codes = replies.map(({ status, body }) => body.code ?? status);
  expect(codes.filter((code) => code === 201)).toHaveLength(1);
  expect(codes.filter((code) => code === 'HUB_ALREADY_INITIALIZED')).toHaveLength(9);
  const rows = await hub.data.store.read((db) => db.selectFrom('interface').select('name').execute());
  expect(rows).toEqual([{ name: 'wg0' }]);
});

test('refuses a hub that has an interface', async () => {
  await start({ tokens });
  expect((await initialize(order)).body.code).toBe('HUB_ALREADY_INITIALIZED');
});

describe('wghub init --bare', () => {
  test('makes a hub without an interface, which says so, and needs no endpoint', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'lk-bare-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const data = join(folder, 'hub');
    const where = ['--data', data, '--keyfile', join(folder, 'hub.key')];
    const refused = await runHubCommand(addInitCommand, ['init', ...where]);
    expect([refused.exit, refused.stderr]).toEqual([2, expect.stringContaining("required option '--endpoint")]);
    const named = await runHubCommand(addInitCommand, ['init', '--bare', '--interfaces', 'wg0', ...where]);
    expect([named.exit, named.stderr]).toEqual([2, expect.stringContaining('wg0')]);
    const made = await runHubCommand(addInitCommand, ['init', '--bare', ...where]);
    expect([made.exit, made.stdout]).toEqual([0, expect.stringContaining('no interface yet')]);
    const { stdout } = await runHubCommand(addStatusCommand, ['status', '--json', '--data', data]);
    expect(JSON.parse(stdout).interfaces).toEqual([]);
    const early = await runHubCommand(addSpokeCommands, ['spoke', 'invite', 'attic', ...where]);
    expect(early).toMatchObject({
      exit: 2,
      stdout: '',
      stderr: expect.stringMatching(/no interface yet\n.*interface add/),
    });
  });
});

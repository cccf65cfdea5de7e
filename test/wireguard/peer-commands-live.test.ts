import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { addInitCommand } from '../../wireguard/commands/init.ts';
import { addPeerCommands } from '../../wireguard/commands/peer.ts';
import { addStatusCommand } from '../../wireguard/commands/status.ts';
import { type Argv, BackgroundProcess } from '../harness/background-process.ts';
import { freePort } from '../harness/free-port.ts';
import { projectProgram } from '../harness/keyserver-process.ts';
import { runHubCommand } from './command-runner.ts';

let folder: string;
let data: string;
let keyfile: string;
let running: BackgroundProcess | null = null;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lk-peer-live-'));
  [data, keyfile] = [join(folder, 'hub'), join(folder, 'hub.key')];
  const where = ['--listen', `127.0.0.1:${await freePort()}`, '--endpoint', 'hub.example:51820', '--driver', 'memory'];
  const said = await runHubCommand(addInitCommand, ['init', '--data', data, '--keyfile', keyfile, ...where]);
  expect(said.exit).toBe(0);
});
afterAll(async () => {
  await running?.kill();
  rmSync(folder, { recursive: true });
});

const start = async (): Promise<BackgroundProcess> => {
  const argv: Argv = [...projectProgram('wireguard/main.ts'), 'start', '--data', data, '--keyfile', keyfile];
  running = await BackgroundProcess.start(argv, { readyWhen: /^serving /m });
  return running;
};
const peer = async (...args: string[]) => {
  const keys = ['add', 'qr'].includes(args[0] ?? '') ? ['--keyfile', keyfile] : [];
  const said = await runHubCommand(addPeerCommands, ['peer', ...args, '--data', data, '--json', ...keys]);
  expect(said.exit).toBe(0);
  return JSON.parse(said.stdout);
};
const status = async () =>
  JSON.parse((await runHubCommand(addStatusCommand, ['status', '--data', data, '--json'])).stdout);

test('what commands change is taken up by a hub that runs, by one that starts, and by one that was killed meanwhile', async () => {
  expect(await status()).toMatchObject({ running: false, pid: null, interfaces: [{ name: 'wg0', seen: null }] });
  const phone = await peer('add', 'phone');
  expect(phone.hub).toBe('none');

  const first = await start();
  expect(await status()).toMatchObject({
    running: true,
    pid: first.pid,
    interfaces: [{ peers: { pending: 1 }, seen: { up: true, peers: 1, listenPort: 51820 } }],
  });
  expect((await peer('add', 'laptop')).hub).toBe('live');
  expect((await peer('disable', 'phone')).hub).toBe('live');
  expect((await peer('qr', 'laptop', '--new-keys')).hub).toBe('live');

  await first.kill(); // its socket stays behind
  expect((await status()).running).toBe(false);
  expect((await peer('add', 'tablet')).hub).toBe('none');
  expect((await peer('enable', 'phone')).hub).toBe('none');
  expect((await peer('remove', 'laptop', '--yes')).hub).toBe('none');

  const second = await start();
  expect(await status()).toMatchObject({
    pid: second.pid,
    interfaces: [{ peers: { pending: 2 }, seen: { peers: 2 } }],
  });
  expect((await peer('list')).peers.map(({ name }: { name: string }) => name)).toEqual(['phone', 'tablet']);
  await second.stop();
  expect((await status()).running).toBe(false);
});

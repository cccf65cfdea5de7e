import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SteadyListener } from '../../keyserver/listening/steady-listener.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { type Listener, listen } from '../../platform/listening/listen.ts';
import { createLog } from '../../platform/log.ts';
import { run } from '../../platform/run.ts';
import type { AddressPlace } from '../../wireguard/interface-address.ts';
import { type Argv, BackgroundProcess } from '../harness/background-process.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { projectProgram } from '../harness/keyserver-process.ts';
import { tunnelObstacle } from '../harness/namespaces.ts';
import { freePort } from './made-server.ts';

let place: AddressPlace;
let said: string[];
let port: number;
let opened: number;
beforeEach(async () => {
  place = { kind: 'wireguard', interface: 'wg0' };
  said = [];
  opened = 0;
  port = await freePort();
});

function steady(open?: () => Promise<Listener>): Promise<SteadyListener> {
  const write = (line: string) => void said.push((JSON.parse(line) as { msg: string }).msg);
  const own = () => {
    opened += 1;
    return listen({ host: '127.0.0.1', port }, null, '', (_, response) => response.end('served'));
  };
  const log = createLog({ level: 'warn', destination: { write } });
  return SteadyListener.open({ open: open ?? own, place: () => place, log }, null, '');
}

/** Whether somebody takes a connection at the port. */
function isTaken(): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

describe('SteadyListener', () => {
  it('throws when the first time fails, as there is nothing to come back to', async () => {
    const open = () => Promise.reject(new LatchkeyError('listen_failed', 'taken'));
    await expect(steady(open)).rejects.toMatchObject({ code: 'listen_failed' });
  });
  it.each<AddressPlace>([{ kind: 'absent' }, { kind: 'other', interface: 'eth0' }, { kind: 'wildcard' }])(
    'takes no connection while the address is %j, and says so once',
    async (elsewhere) => {
      const listener = await steady();
      place = elsewhere;
      await listener.look();
      await listener.look();
      expect(await isTaken()).toBe(false);
      expect(said).toHaveLength(1);
      expect(said[0]).toMatch(/^stopped listening: its address is on /);
      place = { kind: 'wireguard', interface: 'wg1' };
      await listener.look();
      expect(await isTaken()).toBe(true);
      expect(said[1]).toBe('listening again');
      await listener.stop();
    },
  );
  it('says that an address moved from nowhere to a foreign interface', async () => {
    const listener = await steady();
    place = { kind: 'absent' };
    await listener.look();
    place = { kind: 'other', interface: 'eth0' };
    await listener.look();
    expect(said[1]).toBe('not listening: its address is on eth0, which is not a WireGuard interface');
    expect(await isTaken()).toBe(false);
    await listener.stop();
  });
  it('tries again as long as listening fails, with the newest certificate', async () => {
    const served: string[] = [];
    const fake = (name: string): Listener => ({
      port: 1,
      setIdentity: (identity) => void served.push(`${name} ${identity.certificate}`),
      stop: async () => undefined,
    });
    const plan: (() => Promise<Listener>)[] = [
      async () => fake('first'),
      () => Promise.reject(new LatchkeyError('listen_failed', 'could not listen')),
      async () => fake('second'),
    ];
    const wanted: (string | undefined)[] = [];
    const log = createLog({ level: 'silent' });
    const open = (identity: { certificate: string } | null) => {
      wanted.push(identity?.certificate);
      return plan.shift()?.() ?? Promise.reject(new Error('asked too often'));
    };
    const listener = await SteadyListener.open({ open, place: () => place, log }, null, '');
    place = { kind: 'absent' };
    await listener.look();
    listener.setIdentity({ certificate: 'new', privateKey: Buffer.alloc(0) }, 'ca');
    place = { kind: 'loopback' };
    await listener.look();
    expect(listener.isListening).toBe(false);
    await listener.look();
    expect(listener.isListening).toBe(true);
    expect(wanted).toEqual([undefined, 'new', 'new']);
    listener.setIdentity({ certificate: 'newer', privateKey: Buffer.alloc(0) }, 'ca');
    expect(served).toEqual(['second newer']);
  });
  it('does not come back once it was stopped', async () => {
    const listener = await steady();
    place = { kind: 'absent' };
    await listener.look();
    place = { kind: 'loopback' };
    await listener.stop();
    await listener.look();
    expect(opened).toBe(1);
    expect(await isTaken()).toBe(false);
  });
});

describe.skipIf(tunnelObstacle() !== null)('a key server whose WireGuard interface goes and comes', () => {
  const cleanup = new Cleanup();
  const namespace = `lksl${process.pid}`;
  const device = `lkd${process.pid}`;
  const address = '10.205.72.1';
  const inside = (...argv: [string, ...string[]]): Argv => ['ip', 'netns', 'exec', namespace, ...argv];
  const ip = (...argv: string[]) => run(['ip', '-n', namespace, ...argv], { timeoutMs: 10_000 });
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'latchkey-steady-'));
    cleanup.add(folder, () => rmSync(folder, { recursive: true }));
    await run(['ip', 'netns', 'add', namespace], { timeoutMs: 10_000 });
    cleanup.add(namespace, async () => void (await run(['ip', 'netns', 'delete', namespace], { timeoutMs: 10_000 })));
    await ip('link', 'set', 'lo', 'up');
  });
  afterAll(() => cleanup.run());

  async function tunnelUp(): Promise<BackgroundProcess> {
    const socket = `/var/run/wireguard/${device}.sock`;
    const daemon = await BackgroundProcess.start(inside('wireguard-go', '-f', device), {
      readyIf: () => existsSync(socket),
      env: { LOG_LEVEL: 'error' },
    });
    cleanup.add(device, () => daemon.stop());
    await ip('address', 'add', `${address}/24`, 'dev', device);
    await ip('link', 'set', device, 'up');
    return daemon;
  }

  /** Asks from within the namespace. */
  async function health(): Promise<string> {
    const script = `
      import { get } from 'node:https';
      import { readFileSync } from 'node:fs';
      const ca = readFileSync(process.argv[1]);
      get('https://${address}:8443/health', { ca }, (answer) => answer.pipe(process.stdout)).on('error', (e) => process.stdout.write(e.code));`;
    const argv = inside(process.execPath, '--input-type=module', '-e', script, join(folder, 'data', 'ca.pem'));
    return (await run(argv, { timeoutMs: 20_000 })).stdout.toString();
  }

  it('closes, serves nothing on a foreign interface, and serves again on its own', async () => {
    const first = await tunnelUp();
    const data = ['--data', join(folder, 'data'), '--keyfile', join(folder, 'keyfile')];
    const program = projectProgram('keyserver/main.ts');
    const init = [...program, 'init', ...data, '--listen', `${address}:8443`] as unknown as Argv;
    await run(inside(...init), { timeoutMs: 30_000 });
    const start = [...program, 'start', ...data] as unknown as Argv;
    const server = await BackgroundProcess.start(inside(...start), { readyWhen: /^serving /m });
    cleanup.add('key server', () => server.stop());
    expect(await health()).toBe('{"status":"ok"}');

    await first.stop();
    await expect.poll(() => server.output(), { timeout: 15_000 }).toContain('stopped listening: its address is on no');
    await ip('link', 'add', 'foreign', 'type', 'veth', 'peer', 'name', 'far');
    await ip('address', 'add', `${address}/24`, 'dev', 'foreign');
    for (const end of ['foreign', 'far']) await ip('link', 'set', end, 'up');
    await expect.poll(() => server.output(), { timeout: 15_000 }).toContain('its address is on foreign');
    expect(await health()).toBe('ECONNREFUSED');
    await ip('link', 'delete', 'foreign');

    await tunnelUp();
    await expect.poll(() => server.output(), { timeout: 15_000 }).toContain('listening again');
    expect(await health()).toBe('{"status":"ok"}');
    await server.stop();
  });
});

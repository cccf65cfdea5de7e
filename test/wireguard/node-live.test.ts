import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { generateKeyPair } from '../../wireguard/keys.ts';
import { BackgroundProcess } from '../harness/background-process.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { answers, bringUp, type Machine, machinesObstacle } from '../harness/hub-network.ts';
import { hasProgram } from '../harness/programs.ts';
import { hubAndSpoke } from './hub-and-spoke.ts';

const missing = ['setpriv', 'curl'].filter((name) => !hasProgram(name));
const obstacle = machinesObstacle() ?? (missing.length === 0 ? null : `${missing.join(', ')} not installed`);
const MAIN = resolve(import.meta.dirname, '../../wireguard/node/main.ts');
const NODE = [process.execPath, '--disable-warning=ExperimentalWarning', MAIN] as const;
/** `nobody` on Debian and elsewhere. */
const NOBODY = 65_534;
const WITHOUT_RIGHTS = [
  'setpriv',
  `--reuid=${NOBODY}`,
  `--regid=${NOBODY}`,
  '--clear-groups',
  '--inh-caps=-all',
  '--bounding-set=-all',
];
const ADDRESS = '10.67.0.11';
const PATIENCE = { timeout: 20_000, interval: 100 };

describe.skipIf(obstacle !== null)(`wgnode on a spoke${obstacle === null ? '' : `: ${obstacle}`}`, () => {
  const cleanup = new Cleanup();
  const unguard = cleanup.guard();
  const folder = mkdtempSync(join(tmpdir(), 'lk-node-'));
  const file = join(folder, 'seen', 'look.json');
  let hub: Machine;
  let spoke: Machine;
  let looking: BackgroundProcess;

  beforeAll(async () => {
    cleanup.add(folder, () => rmSync(folder, { recursive: true }));
    mkdirSync(join(folder, 'seen'));
    chmodSync(folder, 0o755);
    chownSync(join(folder, 'seen'), 0, NOBODY);
    chmodSync(join(folder, 'seen'), 0o2750); // what is made in it belongs to the group, as a unit's Group= has it
    const made = await hubAndSpoke(cleanup);
    ({ hub, spoke } = made);
    await bringUp(spoke, made.conf, cleanup);
    expect(await answers(spoke, '10.67.0.1')).toBe(true);
    looking = await BackgroundProcess.start(spoke.inside([...NODE, 'look', '--file', file, '--every', '1']));
    cleanup.add('look', () => looking.stop());
    const serving = await BackgroundProcess.start(
      spoke.inside([...WITHOUT_RIGHTS, ...NODE, 'start', '--file', file, '--listen', `${ADDRESS}:8000`] as never),
      { readyWhen: /^serving http:\/\/10\.67\.0\.11:8000$/m },
    );
    cleanup.add('service', () => serving.stop());
  });
  afterAll(async () => {
    unguard();
    await cleanup.run();
  });

  const ask = async (from: Machine, path: string, host = ADDRESS) => {
    const said = await from.run('sh', '-c', `curl -s -m 5 -w '\\n%{http_code}' http://${host}:8000${path} || true`);
    const at = said.lastIndexOf('\n');
    return { status: Number(said.slice(at + 1)), body: at > 0 ? JSON.parse(said.slice(0, at)) : null };
  };

  test('tells others in the tunnel how its own tunnel is, as a user without rights, and no secret', async () => {
    await vi.waitFor(async () => expect((await ask(hub, '/health')).status).toBe(200), PATIENCE);
    const { status, body } = await ask(hub, '/status');
    expect(status).toBe(200);
    expect(body).toMatchObject({
      hostname: expect.any(String),
      interfaces: [{ name: 'wg0', up: true, addresses: [`${ADDRESS}/32`] }],
    });
    const [peer] = body.interfaces[0].peers;
    expect(peer).toMatchObject({ endpoint: `${hub.address}:51820`, stale: false });
    expect(peer.handshakeAgeSeconds).toBeLessThan(180);
    expect(Object.keys(peer).sort()).toEqual(['endpoint', 'handshakeAgeSeconds', 'publicKey', 'rx', 'stale', 'tx']);
    expect((await ask(hub, '/status', spoke.address)).status).toBe(0); // on the wire nobody listens
  });

  test('says that a peer is stale, and that the interface is down', async () => {
    const stranger = generateKeyPair().publicKey;
    const current = (await spoke.run('wg', 'show', 'wg0', 'peers')).trim();
    await spoke.run('wg', 'set', 'wg0', 'peer', stranger, 'allowed-ips', '10.67.0.99/32');
    await vi.waitFor(async () => {
      const [one] = (await ask(hub, '/status')).body.interfaces;
      const stale = one.peers.map((peer: { publicKey: string; stale: boolean }) => [peer.publicKey, peer.stale]);
      expect(Object.fromEntries(stale)).toEqual({ [stranger]: true, [current]: false });
    }, PATIENCE);
    expect((await ask(hub, '/health')).status).toBe(200); // the hub is still heard
    await spoke.run('wg', 'set', 'wg0', 'peer', current, 'remove');
    await vi.waitFor(async () => {
      const { status, body } = await ask(spoke, '/health');
      expect([status, body]).toEqual([
        503,
        { status: 'degraded', reasons: ['no peer of wg0 has shaken hands within three minutes'] },
      ]);
    }, PATIENCE);
  });

  test('says so when nobody looks any more', async () => {
    await looking.stop();
    rmSync(file);
    const { status, body } = await ask(spoke, '/health');
    expect([status, body.reasons]).toEqual([503, ['nobody has looked at the interfaces yet']]);
  });
});

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { verifyAudit } from '../../platform/audit-chain.ts';
import { systemRandom } from '../../platform/clock.ts';
import { createSecretFile } from '../../platform/files.ts';
import { hashPassword } from '../../platform/password.ts';
import { totpCode, totpSecretBytes, totpStep } from '../../platform/totp.ts';
import { addAccount } from '../../wireguard/access/accounts.ts';
import { COMMAND } from '../../wireguard/hub/actor.ts';
import { generateKeyPair } from '../../wireguard/keys.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { answers, bringUp, HubNetwork, type Machine, machinesObstacle } from '../harness/hub-network.ts';
import { HubProcess } from '../harness/hub-process.ts';

const obstacle = machinesObstacle();
const PATIENCE = { timeout: 45_000, interval: 100 };
const HUB = '10.79.0.1';
const PASSWORD = 'a long password, of a test';

interface Spoke {
  readonly id: string;
  readonly machine: Machine;
  readonly publicKey: string;
}

describe.skipIf(obstacle !== null)(`a hub whose machine is gone${obstacle === null ? '' : ` (${obstacle})`}`, () => {
  const cleanup = new Cleanup();
  const unguard = cleanup.guard();
  const folder = mkdtempSync(join(tmpdir(), 'lk-gone-'));
  const at = (name: string): string => join(folder, name);
  const tokens = new Map<string, string>();
  const spokes = new Map<string, Spoke>();
  let network: HubNetwork;
  let hub: HubProcess;
  let secret = '';
  let before: { readonly publicKey: string; readonly clusters: unknown; readonly peers: unknown };

  beforeAll(async () => {
    cleanup.add(folder, () => rmSync(folder, { recursive: true }));
    createSecretFile(at('backup.key'), systemRandom(32));
    network = await HubNetwork.build(cleanup);
    hub = new HubProcess(await network.machine('old', 1), at('old'), at('hub.key'), cleanup);
    await hub.init(['--interface', 'wg0', '--network', '10.79.0.0/24', '--name', 'berlin']);
    hub.configure({ lookSeconds: 1 });
    await hub.start();
    for (const name of ['office', 'pve1', 'unused', 'fetched', 'late']) {
      const order = { spokeName: name, platform: name === 'pve1' ? 'proxmox' : 'linux', clusterMembers: 0 };
      const { status, body } = await hub.call('POST', '/api/installation/token', order);
      expect(status).toBe(201);
      tokens.set(name, body.token.token);
    }
    await enter('office', 101, {});
    await enter('pve1', 102, { isProxmox: true, proxmoxNodeName: 'pve1', proxmoxClusterName: 'attic' });
    expect(await fetchScript('fetched')).toBe('200');
    const { opened, vault } = await hub.side();
    const account = { name: 'ann', role: 'admin', passwordHash: await hashPassword(PASSWORD, systemRandom) } as const;
    secret = await opened.store.transaction((tx) => addAccount(tx, vault, account, COMMAND, Date.now(), systemRandom));
    // where they are is written down by a look
    await vi.waitFor(async () => {
      const { peers } = (await seen()) as { peers: { status: string }[] };
      expect(peers.map(({ status }) => status)).toEqual(['active', 'active']);
    }, PATIENCE);
    before = { publicKey: (await hub.side()).facts.publicKey, ...(await seen()) };
    await hub.command(['backup', '--out', at('one.backup'), '--backup-keyfile', at('backup.key')]);
  });
  afterAll(async () => {
    unguard();
    await cleanup.run();
  });

  const urlOf = (name: string) =>
    `http://127.0.0.1:8090/api/installation/script/${tokens.get(name)}?platform=${platform(name)}`;
  const platform = (name: string) => (name === 'pve1' ? 'proxmox' : 'linux');
  /** As the command that was shown with the token fetches it; its status. */
  const fetchScript = (name: string) =>
    hub.machine.run('curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', urlOf(name));
  const register = (name: string, publicKey: string, more: object) =>
    hub.call('POST', '/api/spoke/register', { token: tokens.get(name), publicKey, os: 'debian 13', ...more });
  /** A spoke as its installer makes it: the script is fetched, a key made and registered, the tunnel brought up. */
  async function enter(name: string, host: number, more: object): Promise<void> {
    const [machine, { privateKey, publicKey }] = [await network.machine(name, host), generateKeyPair()];
    if (name !== 'fetched') expect(await fetchScript(name)).toBe('200');
    const { status, body, text } = await register(name, publicKey, more);
    if (status !== 201) throw new Error(`${name} was not registered: ${status} ${text}`);
    const config = String(body.configText).replace('[Interface]\n', `[Interface]\nPrivateKey = ${privateKey}\n`);
    await bringUp(machine, config, cleanup);
    spokes.set(name, { id: body.spoke.id, machine, publicKey });
    expect(await answers(machine, HUB)).toBe(true);
  }
  /** What of the store has to be the same afterwards; where spokes are and what they moved goes on. */
  async function seen(): Promise<{ clusters: unknown; peers: unknown }> {
    const { opened } = await hub.side();
    return opened.store.read(async (db) => ({
      clusters: await db
        .selectFrom('proxmox_node')
        .innerJoin('proxmox_cluster', 'id', 'cluster_id')
        .selectAll()
        .execute(),
      peers: await db.selectFrom('peer').select(['id', 'public_key', 'addresses', 'status']).orderBy('id').execute(),
    }));
  }

  test('is restored on a new one, and its spokes are there again without being touched', async () => {
    await hub.closeSide();
    await hub.machine.halt();
    rmSync(at('old'), { recursive: true });
    for (const { machine } of spokes.values()) expect(await answers(machine, HUB)).toBe(false);

    const fresh = new HubProcess(await network.machine('new', 1), at('new'), at('hub.key'), cleanup);
    const began = performance.now();
    const restored = await fresh.command(['restore', '--from', at('one.backup'), '--backup-keyfile', at('backup.key')]);
    expect(restored).toMatchObject({ hub: 'berlin', peers: 2, interfaces: [{ name: 'wg0' }] });
    hub = fresh;
    await hub.start();
    report('restored and started', began);
    await vi.waitFor(async () => {
      for (const { machine } of spokes.values()) expect(await answers(machine, HUB)).toBe(true);
    }, PATIENCE);
    report('both spokes answer', began);
    expect((await hub.heard()).sort()).toEqual([...spokes.values()].map(({ publicKey }) => publicKey).sort());
    expect((await hub.side()).facts.publicKey).toBe(before.publicKey);
    expect(await hub.differences()).toEqual([]);
    const { peers, clusters } = await seen();
    expect({ peers, clusters }).toEqual({ peers: before.peers, clusters: before.clusters });
    expect(existsSync(at('old'))).toBe(false);
  }, 120_000);

  test('takes install tokens that were unused then, each once, and refuses those that were used', async () => {
    for (const name of ['office', 'pve1', 'fetched']) expect(await fetchScript(name)).toBe('410');
    expect((await register('office', generateKeyPair().publicKey, {})).body.code).toBe('TOKEN_ALREADY_USED');
    await enter('unused', 103, {});
    expect(await fetchScript('unused')).toBe('410');
    expect((await register('unused', generateKeyPair().publicKey, {})).body.code).toBe('TOKEN_ALREADY_USED');
    await enter('fetched', 104, {}); // its script was out when the backup was made
    expect((await register('fetched', generateKeyPair().publicKey, {})).body.code).toBe('TOKEN_ALREADY_USED');
    const { opened } = await hub.side();
    const rows = await opened.store.read((db) => db.selectFrom('peer').select('addresses').execute());
    expect(new Set(rows.map(({ addresses }) => addresses)).size).toBe(4);
  }, 120_000);

  test('lets people in with what they had, and its log is whole', async () => {
    const code = totpCode(totpSecretBytes(secret), totpStep(Date.now()));
    const login = { name: 'ann', password: PASSWORD, code };
    expect(await hub.call('POST', '/api/login', login)).toMatchObject({ status: 200 });
    const { opened } = await hub.side();
    await opened.store.read((db) => verifyAudit(db, opened.auditKey));
  });
});

/** For the README. */
function report(what: string, began: number): void {
  process.stdout.write(`      ${what} after ${((performance.now() - began) / 1000).toFixed(1)} s\n`);
}

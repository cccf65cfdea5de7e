import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { appendAudit, verifyAudit } from '../../platform/audit-chain.ts';
import { systemRandom } from '../../platform/clock.ts';
import { createSecretFile } from '../../platform/files.ts';
import { keyfileMethod } from '../../platform/vault/unseal.ts';
import type { Vault } from '../../platform/vault/vault.ts';
import { capacityOf } from '../../wireguard/address/pool.ts';
import { hubConfig } from '../../wireguard/data/hub-config.ts';
import { createHubData, type HubData, openHubData } from '../../wireguard/data/hub-data.ts';
import { PeerRegister } from '../../wireguard/hub/peer-register.ts';
import type { ServedHub } from '../../wireguard/hub/served-interfaces.ts';
import { generateKeyPair } from '../../wireguard/keys.ts';
import { newTokenText } from '../../wireguard/spokes/install-token.ts';
import { insertToken, revokeToken, takeScript } from '../../wireguard/spokes/install-token-store.ts';
import { registerSpoke } from '../../wireguard/spokes/registration.ts';
import { type HubInterface, poolOf } from '../../wireguard/store/hub-interface.ts';
import { insertPeer } from '../../wireguard/store/peers.ts';
import type { Platform } from '../../wireguard/store/schema.ts';
import { secretName } from '../../wireguard/store/seal.ts';
import { newPeer, testInterface } from './hub-store.ts';

/** What stands in for every secret of a made hub. */
export const canary = 'CANARY-of-a-gateway-00000000000';

/** A hub that does not run, with a secret of a gateway and its data opened; `urlFile` puts its state into PostgreSQL. */
export interface MadeHub {
  readonly folder: string;
  readonly data: HubData;
  readonly vault: Vault;
  readonly keyfile: string;
  /** Key of its backups. */
  readonly backupKeyfile: string;
  at(name: string): string;
  addPeers(count: number): Promise<void>;
  /** A token of each state (unused, used, revoked), and the spoke that came of the used one: the first node of a Proxmox cluster. */
  addSpokes(): Promise<void>;
  events(): Promise<string[]>;
  remove(): Promise<void>;
}

export async function makeHub(urlFile: string | null = null): Promise<MadeHub> {
  const folder = mkdtempSync(join(tmpdir(), 'lk-made-hub-'));
  const at = (name: string): string => join(folder, name);
  createSecretFile(at('key'), systemRandom(32));
  createSecretFile(at('backup-key'), systemRandom(32));
  const database = urlFile === null ? null : { urlFile };
  const listen = { host: '127.0.0.1', port: 0 };
  const config = hubConfig({ version: 1, name: 'hub', listen, driver: 'memory', database });
  const facts = testInterface();
  const deps = { clock: { now: () => Date.now() }, random: systemRandom, env: {} };
  const { directory, vault } = await createHubData(at('hub'), config, facts, keyfileMethod(at('key')), deps);
  const data = await openHubData(directory, {});
  const sealed = vault.seal(secretName('gateway', 'berlin'), Buffer.from(canary));
  await data.store.transaction((tx) =>
    tx
      .insertInto('gateway')
      .values({ name: 'berlin', interface: 'wg0', secret_sealed: sealed, payloads: 'either', created_at: 1, newest: 0 })
      .execute(),
  );
  const about = { interface: 'wg0', pool: poolOf(facts), seal: vault, now: 1 };
  return {
    folder,
    data,
    vault,
    at,
    keyfile: at('key'),
    backupKeyfile: at('backup-key'),
    addPeers: async (count) => {
      for (let number = 0; number < count; number += 1) {
        await data.store.transaction(async (tx) => {
          const peer = await insertPeer(tx, about, newPeer({ name: `phone ${number} 🙈` }));
          await appendAudit(tx, { time: 1, event: 'peer_created', detail: { peer: peer.id } });
        });
      }
    },
    addSpokes: () => addSpokes(data, facts, vault),
    events: () => eventsOf(data),
    remove: async () => {
      await data.store.close();
      rmSync(folder, { recursive: true });
    },
  };
}

async function addSpokes({ store }: HubData, facts: HubInterface, seal: Vault): Promise<void> {
  const now = (): number => 5;
  const make = (spokeName: string, platform: Platform | null) => {
    const { text, hash } = newTokenText(systemRandom);
    const who = { id: systemRandom(12).toString('hex'), hash, spokeName, platform, createdBy: 'account:änne' };
    const whence = {
      interface: facts.name,
      spokeId: systemRandom(12).toString('hex'),
      parent: null,
      hub: { url: 'https://hub.example', pin: null, hubName: 'hub' },
      createdFrom: null,
    };
    const given = { ...who, ...whence, scripts: { linux: 'ab' }, members: 2, createdAt: 1, expiresAt: 2 ** 45 };
    return store.transaction(async (tx) => ({ text, hash, ...(await insertToken(tx, poolOf(facts), null, given)) }));
  };
  await make('unused', null);
  const revoked = await make('revoked', 'windows');
  await store.transaction((tx) => revokeToken(tx, revoked.id, 2));
  const { id, text, hash } = await make('used', 'proxmox');
  const fetch = { at: 3, from: '192.0.2.8', agent: 'curl/8 🙈', platform: 'proxmox' } as const;
  const token = await store.transaction((tx) => takeScript(tx, id, fetch));
  if (token === null) throw new Error('the test made no token');
  const parts = { store, seal, now, random: systemRandom, tell: () => Promise.resolve(true) };
  const hub = { facts, peers: new PeerRegister(facts, parts) } as unknown as ServedHub;
  const node = { isProxmox: true, proxmoxNodeName: 'pve1', proxmoxClusterName: 'büro', proxmoxVersion: '9.1.6' };
  const order = { token: text, publicKey: generateKeyPair().publicKey, os: 'debian 13', metadata: {}, ...node };
  await registerSpoke(hub, token, order, {
    hash,
    source: '192.0.2.9',
    agent: null,
    otherSource: 'record',
    now,
    random: systemRandom,
  });
}

export async function eventsOf({ store }: HubData): Promise<string[]> {
  const rows = await store.read((db) => db.selectFrom('audit').select('body').orderBy('seq').execute());
  return rows.map(({ body }) => (JSON.parse(body) as { event: string }).event);
}

/** A file with a URL in it, as an operator would have one. */
export function urlFileIn(folder: string, url: string): string {
  const path = join(folder, 'url');
  writeFileSync(path, `${url}\n`, { mode: 0o600 });
  return path;
}

/** Whether a store is one moment of a hub: its log holds, and tells of the very peers there are, whose places are the ones not free. */
export async function momentOf({
  store,
  auditKey,
}: HubData): Promise<{ peers: number; told: number; places: boolean }> {
  return store.read(async (db) => {
    await verifyAudit(db, auditKey);
    const peers = await db.selectFrom('peer').selectAll().where('status', '<>', 'deleted').execute();
    const free = await db.selectFrom('free_range').selectAll().execute();
    const { networks, addresses } = await db.selectFrom('interface').selectAll().executeTakeFirstOrThrow();
    const pool = poolOf({ networks: JSON.parse(networks), addresses: JSON.parse(addresses) });
    const kept = await db.selectFrom('install_token').select('place').where('ended_at', 'is', null).execute();
    const taken = new Set([...peers, ...kept].map(({ place }) => place));
    const count = free.reduce((sum, { first, last }) => sum + last - first + 1, 0);
    const overlap = [...taken].some((place) => free.some(({ first, last }) => place >= first && place <= last));
    const log = await db.selectFrom('audit').select('body').execute();
    const told = log.filter(({ body }) => body.includes('"event":"peer_created"')).length;
    return { peers: peers.length, told, places: !overlap && count + taken.size === capacityOf(pool) };
  });
}

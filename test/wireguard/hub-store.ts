import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openPostgres } from '../../platform/postgres.ts';
import { parsePostgresUrl } from '../../platform/postgres-url.ts';
import { openSqlite } from '../../platform/sqlite.ts';
import type { Store } from '../../platform/store.ts';
import { Vault } from '../../platform/vault/vault.ts';
import { generateKeyPair } from '../../wireguard/keys.ts';
import type { HubInterface } from '../../wireguard/store/hub-interface.ts';
import type { NewPeer } from '../../wireguard/store/peers.ts';
import { type HubDatabase, migrations } from '../../wireguard/store/schema.ts';
import type { Seal } from '../../wireguard/store/seal.ts';
import { TestPostgres } from '../harness/postgres.ts';

/** A database of a hub's own, new each time. */
export interface HubStorePlace {
  open(): Promise<{ readonly store: Store<HubDatabase>; readonly close: () => Promise<void> }>;
  stop(): Promise<void>;
}

export const sqlitePlace = (): HubStorePlace => ({
  open: async () => {
    const folder = mkdtempSync(join(tmpdir(), 'lk-hub-'));
    const store = await openSqlite<HubDatabase>(join(folder, 'hub.db'), { migrations, create: true });
    return {
      store,
      close: async () => {
        await store.close();
        rmSync(folder, { recursive: true });
      },
    };
  },
  stop: async () => undefined,
});

/** Databases of a server of their own, or of one that the test has started and will stop. */
export async function postgresPlace(shared: TestPostgres | null = null): Promise<HubStorePlace> {
  const postgres = shared ?? (await TestPostgres.start());
  return {
    open: async () => {
      const url = await postgres.newDatabase('kept');
      const store = await openPostgres<HubDatabase>(parsePostgresUrl(url, 'url'), { migrations, create: true });
      return {
        store,
        close: async () => {
          await store.close();
          postgres.giveBack(url);
        },
      };
    },
    stop: async () => {
      if (shared === null) await postgres.stop();
    },
  };
}

/** A seal with a key of its own. */
export function testSeal(): Seal {
  return Vault.create(randomBytes);
}

export function testInterface(change: Partial<HubInterface> = {}): HubInterface {
  return {
    name: 'wg0',
    networks: ['10.0.1.0/24', 'fd42:4242:1::/64'],
    addresses: ['10.0.1.1/24', 'fd42:4242:1::1/64'],
    listenPort: 51820,
    endpoint: 'hub.example:51820',
    dns: [],
    mtu: null,
    keepalive: 25,
    fwMark: 0,
    level: 'off',
    obfuscation: {},
    ...generateKeyPair(),
    ...change,
  };
}

export function newPeer(change: Partial<NewPeer> = {}): NewPeer {
  return {
    id: randomBytes(8).toString('hex'),
    name: 'phone',
    owner: null,
    publicKey: generateKeyPair().publicKey,
    presharedKey: null,
    kind: 'device',
    platform: null,
    keepalive: 25,
    wishedAddress: null,
    extraNetworks: [],
    expiresAt: null,
    metadata: {},
    ...change,
  };
}

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addClient, type Invitation, type NewClient } from '../../keyserver/clients/client-admin.ts';
import { newConfig } from '../../keyserver/config.ts';
import { createServerData, openServerData, type ServerData } from '../../keyserver/server-data.ts';
import { type Clock, systemRandom } from '../../platform/clock.ts';
import { createSecretFile } from '../../platform/files.ts';
import { keyfileBytes, keyfileMethod } from '../../platform/vault/unseal.ts';
import type { Vault } from '../../platform/vault/vault.ts';
import { unsealVault } from '../../platform/vault/vault-file.ts';
import { newTestDatabase } from './test-store.ts';

/** A clock that stands still until a test moves it. */
export interface TestClock extends Clock {
  set(time: number): void;
}

export const someMoment = Date.UTC(2026, 10, 20, 12);

export function testClock(time = someMoment): TestClock {
  let at = time;
  return {
    now: () => at,
    set: (next) => {
      at = next;
    },
  };
}

/** A server's data directory, opened, with its vault; nothing serves. */
export interface TestData {
  readonly folder: string;
  readonly keyfile: string;
  readonly data: ServerData;
  readonly vault: Vault;
  readonly clock: TestClock;
  add(wanted?: Partial<NewClient>): Promise<Invitation>;
  remove(): Promise<void>;
}

export async function makeTestData(): Promise<TestData> {
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-data-'));
  const keyfile = join(folder, 'keyfile');
  createSecretFile(keyfile, systemRandom(keyfileBytes));
  const method = keyfileMethod(keyfile);
  const clock = testClock();
  const directory = join(folder, 'data');
  const { database, giveUp } = await newTestDatabase(folder);
  const config = { ...newConfig({ host: '127.0.0.1', port: 8443 }, [], 'tls'), database };
  await createServerData(directory, config, method, { clock, random: systemRandom });
  const data = await openServerData(directory);
  const vault = await unsealVault(directory, method, systemRandom);
  return {
    folder,
    keyfile,
    data,
    vault,
    clock,
    add: (wanted = {}) => {
      const client = { name: 'cloud', networks: ['127.0.0.0/8'], basic: false, escrow: true, ...wanted };
      return data.store.transaction((tx) => addClient(tx, client, clock.now(), systemRandom));
    },
    remove: async () => {
      await data.store.close();
      giveUp();
      rmSync(folder, { recursive: true });
    },
  };
}

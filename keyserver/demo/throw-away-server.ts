import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock, RandomBytes } from '../../platform/clock.ts';
import { createSecretFile } from '../../platform/files.ts';
import { createLog } from '../../platform/log.ts';
import { keyfileBytes, keyfileMethod } from '../../platform/vault/unseal.ts';
import { unsealVault } from '../../platform/vault/vault-file.ts';
import { newConfig } from '../config.ts';
import { type KeyServer, startKeyServer } from '../key-server.ts';
import { createServerData, openServerData, type ServerData } from '../server-data.ts';

/** A real key server on loopback whose folder goes when it goes. */
export interface ThrowAwayServer {
  readonly folder: string;
  /** Its data directory. */
  readonly data: ServerData;
  readonly keyfile: string;
  readonly url: string;
  /** Files of the data directory that hold these bytes in clear. */
  filesHolding(secret: Buffer): string[];
  fileCount(): number;
  stop(): Promise<void>;
}

export async function startThrowAwayServer(clock: Clock, random: RandomBytes): Promise<ThrowAwayServer> {
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-demo-'));
  try {
    const directory = join(folder, 'data');
    const keyfile = join(folder, 'keyfile');
    createSecretFile(keyfile, random(keyfileBytes));
    const method = keyfileMethod(keyfile);
    const config = newConfig({ host: '127.0.0.1', port: await freePort() }, [], 'tls');
    await createServerData(directory, config, method, { clock, random });
    const data = await openServerData(directory);
    const vault = await unsealVault(directory, method, random);
    const server = await startKeyServer(data, vault, { clock, random, log: createLog({ level: 'error' }) });
    return handle(folder, keyfile, data, server);
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

function handle(folder: string, keyfile: string, data: ServerData, server: KeyServer): ThrowAwayServer {
  const files = (): string[] => readdirSync(data.directory);
  return {
    folder,
    data,
    keyfile,
    url: data.config.url,
    filesHolding: (secret) => files().filter((name) => readFileSync(join(data.directory, name)).includes(secret)),
    fileCount: () => files().length,
    stop: async () => {
      await server.stop();
      await data.store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A port that was free a moment ago. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

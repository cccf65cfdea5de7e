import { readFileSync } from 'node:fs';
import { appendAudit, signAudit } from '../platform/audit-chain.ts';
import type { Clock, RandomBytes } from '../platform/clock.ts';
import { LatchkeyError } from '../platform/errors.ts';
import { createSecretFile, writeFileAtomic } from '../platform/files.ts';
import { openSqlite } from '../platform/sqlite.ts';
import type { Store } from '../platform/store.ts';
import { type Config, readConfig, writeConfig } from './config.ts';
import {
  assertNewDirectory,
  auditKeyFile,
  authorityFile,
  createDataDirectory,
  databaseFile,
  openDataDirectory,
} from './data-directory.ts';
import { type Database, migrations } from './schema.ts';
import { auditPrivateKey, makeServerSecrets, storeServerSecrets } from './server-secrets.ts';
import type { UnsealMethod } from './unseal.ts';
import { makeVault, storeVault } from './vault-file.ts';

/** An opened data directory. Nothing in it needs the vault. */
export interface ServerData {
  readonly directory: string;
  readonly config: Config;
  readonly store: Store<Database>;
  /** The CA certificate, PEM. */
  readonly ca: string;
  /** The public half of the key that signs the audit log, PEM. */
  readonly auditKey: string;
}

interface Deps {
  readonly clock: Clock;
  readonly random: RandomBytes;
}

/**
 * Makes everything a server needs in a new directory. `config.json` is written last: a directory without it is not a
 * server, so that an interrupted `init` leaves nothing that would start.
 */
export async function createServerData(
  path: string,
  config: Config,
  method: UnsealMethod,
  deps: Deps,
): Promise<{ directory: string; ca: string; auditKey: string }> {
  assertNewDirectory(path);
  const made = await makeVault(method, deps.random);
  const now = deps.clock.now();
  const secrets = await makeServerSecrets(config.hosts, now, deps.random);
  const directory = createDataDirectory(path);
  storeVault(directory, made);
  createSecretFile(databaseFile(directory), ''); // SQLite gives its log files the mode of the database
  const store = await openSqlite<Database>(databaseFile(directory), { migrations, create: true });
  try {
    await store.transaction(async (tx) => {
      await storeServerSecrets(tx, made.vault, secrets, now);
      await appendAudit(tx, {
        time: now,
        event: 'server_made',
        detail: { url: config.url, sealed_with: method.method },
      });
      await signAudit(tx, now, auditPrivateKey(secrets));
    });
  } finally {
    await store.close();
  }
  const { certificate: ca } = secrets.authority;
  writeFileAtomic(authorityFile(directory), ca, { mode: 0o644 });
  writeFileAtomic(auditKeyFile(directory), secrets.auditPublicKey, { mode: 0o644 });
  writeConfig(directory, config);
  return { directory, ca, auditKey: secrets.auditPublicKey };
}

/** Opens a server's data; the caller closes the store. */
export async function openServerData(path: string): Promise<ServerData> {
  const directory = openDataDirectory(path);
  const config = readConfig(directory);
  const ca = readPublic(authorityFile(directory));
  const auditKey = readPublic(auditKeyFile(directory));
  const store = await openSqlite<Database>(databaseFile(directory), { migrations });
  return { directory, config, store, ca, auditKey };
}

/** Opens a server's data for one piece of work. */
export async function withServerData<T>(path: string, work: (data: ServerData) => Promise<T>): Promise<T> {
  const data = await openServerData(path);
  try {
    return await work(data);
  } finally {
    await data.store.close();
  }
}

function readPublic(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new LatchkeyError('data_missing', `${path} is missing`, { cause, hint: 'restore it from a backup' });
  }
}

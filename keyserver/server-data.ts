import { readFileSync } from 'node:fs';
import type { Kysely } from 'kysely';
import { appendAudit, isSignedBy, signAudit } from '../platform/audit-chain.ts';
import type { Clock, RandomBytes } from '../platform/clock.ts';
import { assertNewDirectory, createDataDirectory } from '../platform/data-directory.ts';
import type { Environment } from '../platform/database-choice.ts';
import { isLatchkeyError, LatchkeyError } from '../platform/errors.ts';
import { createSecretFile, writeFileAtomic } from '../platform/files.ts';
import { isKeyOf } from '../platform/listening/identity.ts';
import type { Store } from '../platform/store.ts';
import type { UnsealMethod } from '../platform/vault/unseal.ts';
import type { Vault } from '../platform/vault/vault.ts';
import { makeVault, reopenVault, storeVault } from '../platform/vault/vault-file.ts';
import { bundleOf, readAuthorities } from './certificates/authorities.ts';
import { readListSources, writeRevocationLists } from './certificates/revocations.ts';
import { type Config, readConfig, writeConfig } from './config.ts';
import { auditKeyFile, authorityFile, databaseFile, openDataDirectory } from './data-directory.ts';
import type { Database } from './schema.ts';
import {
  auditPrivateKey,
  auditPublicKey,
  loadAuthority,
  makeServerSecrets,
  storeServerSecrets,
} from './server-secrets.ts';
import { openServerStore } from './server-store.ts';

/** An opened data directory. Nothing in it needs the vault. */
export interface ServerData {
  readonly directory: string;
  readonly config: Config;
  readonly store: Store<Database>;
  /** `null` where the state is in PostgreSQL. */
  readonly databaseFile: string | null;
  /** The certificates of the authorities a client trusts, PEM. */
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
 * server, so that an interrupted `init` leaves nothing that would start. Throws `database_taken` when a PostgreSQL database
 * has a server's state already.
 */
export async function createServerData(
  path: string,
  config: Config,
  method: UnsealMethod,
  deps: Deps,
  env: Environment = process.env,
): Promise<{ directory: string; ca: string; auditKey: string }> {
  assertNewDirectory(path);
  const made = await makeVault(method, deps.random);
  const now = deps.clock.now();
  const secrets = await makeServerSecrets(config.hosts, now, deps.random);
  const remote = config.database === null ? null : await openServerStore(path, config, env, true); // may refuse: nothing is there yet
  let store = remote;
  let directory: string;
  try {
    if (remote !== null) await remote.read(assertEmpty);
    directory = createDataDirectory(path);
    storeVault(directory, made);
    if (store === null) {
      createSecretFile(databaseFile(directory), ''); // SQLite gives its log files the mode of the database
      store = await openServerStore(directory, config, env, true);
    }
    await store.transaction(async (tx) => {
      await assertEmpty(tx); // in the turn of this server among all that use the database
      await storeServerSecrets(tx, made.vault, secrets, now);
      await appendAudit(tx, {
        time: now,
        event: 'server_made',
        detail: { url: config.url, sealed_with: method.method },
      });
      await signAudit(tx, now, auditPrivateKey(secrets));
    });
    const sources = await store.read((tx) => readListSources(tx, made.vault, now));
    await writeRevocationLists(directory, sources, now);
  } finally {
    await store?.close();
  }
  const { certificate: ca } = secrets.authority;
  writeDirectory(directory, config, ca, secrets.auditPublicKey);
  return { directory, ca, auditKey: secrets.auditPublicKey };
}

function writeDirectory(directory: string, config: Config, ca: string, auditKey: string): void {
  writeFileAtomic(authorityFile(directory), ca, { mode: 0o644 });
  writeFileAtomic(auditKeyFile(directory), auditKey, { mode: 0o644 });
  writeConfig(directory, config);
}

/** A database that holds a server's secrets is a server's: a second vault in it would open none of them. */
async function assertEmpty(tx: Kysely<Database>): Promise<void> {
  const secret = await tx.selectFrom('server_secret').select('name').limit(1).executeTakeFirst();
  if (secret === undefined) return;
  throw new LatchkeyError('database_taken', 'the database belongs to a key server already', {
    exit: 3,
    hint: 'make one more server for it with --join, or name another database',
  });
}

/**
 * Makes the directory of one more server on a PostgreSQL database, out of the `vault.json` of another one, which `method`
 * has to open. Throws `database_foreign` unless that vault opens what the database holds.
 */
export async function joinServerData(
  path: string,
  config: Config,
  vaultText: string,
  method: UnsealMethod,
  deps: Deps,
  env: Environment = process.env,
): Promise<{ directory: string; ca: string; auditKey: string }> {
  assertNewDirectory(path);
  const made = await reopenVault(vaultText, method, deps.random);
  const store = await openServerStore(path, config, env);
  try {
    const { ca, auditKey } = await store.read((tx) => belongings(tx, made.vault));
    const directory = createDataDirectory(path);
    storeVault(directory, made);
    await store.transaction((tx) =>
      appendAudit(tx, { time: deps.clock.now(), event: 'server_joined', detail: { url: config.url } }),
    );
    writeDirectory(directory, config, ca, auditKey);
    return { directory, ca, auditKey };
  } finally {
    await store.close();
  }
}

/** What a server's public files say, worked out from the secrets in the database: rows that anybody could write prove nothing. */
async function belongings(tx: Kysely<Database>, vault: Vault): Promise<{ ca: string; auditKey: string }> {
  try {
    const auditKey = await auditPublicKey(tx, vault);
    const authorities = await readAuthorities(tx);
    for (const { serial, certificate } of authorities) {
      const { privateKey } = await loadAuthority(tx, vault, serial);
      if (!isKeyOf(certificate, privateKey))
        throw new LatchkeyError('vault_damaged', 'an authority is not of the key beside it');
    }
    return { ca: bundleOf(authorities), auditKey };
  } catch (cause) {
    throw isLatchkeyError(cause, 'vault_damaged') ? foreign(cause) : cause;
  }
}

/** Opens a server's data; the caller closes the store. Throws `database_foreign` for another server's database. */
export async function openServerData(path: string, env: Environment = process.env): Promise<ServerData> {
  const directory = openDataDirectory(path);
  const config = readConfig(directory);
  const ca = readPublic(authorityFile(directory));
  const auditKey = readPublic(auditKeyFile(directory));
  const store = await openServerStore(directory, config, env);
  const isOurs = config.database === null || (await store.read((tx) => isSignedBy(tx, auditKey)));
  if (isOurs) {
    return {
      directory,
      config,
      store,
      databaseFile: config.database === null ? databaseFile(directory) : null,
      ca,
      auditKey,
    };
  }
  await store.close();
  throw foreign();
}

function foreign(cause?: unknown): LatchkeyError {
  return new LatchkeyError('database_foreign', 'the database belongs to another key server', {
    exit: 3,
    hint: 'check the URL of the database, and that vault.json and audit.pub are of the server that made it',
    cause,
  });
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

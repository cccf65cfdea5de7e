import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { appendAudit, isSignedBy, signAudit } from '../../platform/audit-chain.ts';
import type { Clock, RandomBytes } from '../../platform/clock.ts';
import { assertNewDirectory, createDataDirectory, openDirectory } from '../../platform/data-directory.ts';
import { type Environment, openDatabase, postgresOf } from '../../platform/database-choice.ts';
import { isLatchkeyError, LatchkeyError } from '../../platform/errors.ts';
import { createSecretFile, writeFileAtomic } from '../../platform/files.ts';
import type { PostgresAddress } from '../../platform/postgres-url.ts';
import type { Store } from '../../platform/store.ts';
import type { UnsealMethod } from '../../platform/vault/unseal.ts';
import type { Vault } from '../../platform/vault/vault.ts';
import { makeVault, reopenVault, storeVault } from '../../platform/vault/vault-file.ts';
import { type HubInterface, insertInterface } from '../store/hub-interface.ts';
import { type InterfaceFacts, listInterfaceFacts } from '../store/interface-facts.ts';
import { type HubDatabase, migrations } from '../store/schema.ts';
import { secretName } from '../store/seal.ts';
import { type HubConfig, readConfig, writeConfig } from './hub-config.ts';

/** The files of a hub's data directory, besides `config.json` and `vault.json`. */
export const databaseFile = (directory: string): string => join(directory, 'hub.db');
export const auditKeyFile = (directory: string): string => join(directory, 'audit.pub');
/** Where commands tell a running hub that they changed something. */
export const doorbellFile = (directory: string): string => join(directory, 'hub.sock');

/** An opened data directory of a hub. Nothing in it needs the vault. */
export interface HubData {
  readonly directory: string;
  readonly config: HubConfig;
  readonly store: Store<HubDatabase>;
  /** `null` where the state is in PostgreSQL. */
  readonly databaseFile: string | null;
  /** Where PostgreSQL is, which other hubs may be at work on too; `null` for SQLite. */
  readonly postgres: PostgresAddress | null;
  /** The public half of the key that signs the audit log, PEM. */
  readonly auditKey: string;
}

interface Deps {
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly env: Environment;
}

/**
 * Makes everything a hub needs in a new directory, `config.json` last: what is not whole is no hub. Without a `first` interface one is
 * made later. Throws `data_exists`, and
 * `database_taken` when a PostgreSQL database is a hub's already.
 */
export async function createHubData(
  path: string,
  config: HubConfig,
  first: HubInterface | null,
  method: UnsealMethod,
  { clock, random, env }: Deps,
): Promise<{ readonly directory: string; readonly vault: Vault }> {
  assertNewDirectory(path);
  const made = await makeVault(method, random);
  const now = clock.now();
  const audit = generateKeyPairSync('ed25519');
  const open = (sqliteFile: string): Promise<Store<HubDatabase>> =>
    openDatabase({ choice: config.database, sqliteFile, env }, { migrations, create: true });
  const remote = config.database === null ? null : await open(''); // may refuse: nothing is there yet
  let store = remote;
  let directory: string;
  try {
    directory = createDataDirectory(path);
    storeVault(directory, made);
    if (store === null) {
      createSecretFile(databaseFile(directory), ''); // SQLite gives its log files the mode of the database
      store = await open(databaseFile(directory));
    }
    await store.transaction(async (tx) => {
      if ((await tx.selectFrom('server_secret').select('name').limit(1).executeTakeFirst()) !== undefined) {
        throw new LatchkeyError('database_taken', 'the database belongs to a hub already', {
          exit: 3,
          hint: 'name another database',
        });
      }
      const sealed = made.vault.seal(
        secretName('audit-key', ''),
        audit.privateKey.export({ format: 'der', type: 'pkcs8' }),
      );
      await tx.insertInto('server_secret').values({ name: 'audit-key', sealed, created_at: now }).execute();
      if (first !== null) await insertInterface(tx, first, made.vault, now);
      await appendAudit(tx, {
        time: now,
        event: 'hub_made',
        detail: { name: config.name, interface: first?.name ?? null, sealed_with: method.method },
      });
      await signAudit(tx, now, audit.privateKey);
    });
  } finally {
    await store?.close();
  }
  const auditKey = audit.publicKey.export({ format: 'pem', type: 'spki' }).toString();
  writeFileAtomic(auditKeyFile(directory), auditKey, { mode: 0o644 });
  writeConfig(directory, config);
  return { directory, vault: made.vault };
}

/** One more hub, as it is asked for. */
export interface HubJoin {
  readonly config: HubConfig;
  /** The text of another hub's `vault.json`, which `method` opens. */
  readonly vaultText: string;
  readonly method: UnsealMethod;
}

/**
 * Makes the directory of one more hub on a PostgreSQL database: its vault is the others', as what is sealed in the database has to open
 * in each of them. Throws `data_exists`, `unseal_failed`, `database_foreign` unless that vault opens what the database holds, and
 * `interface_unknown` for an interface that it does not have.
 */
export async function joinHubData(
  path: string,
  { config, vaultText, method }: HubJoin,
  { clock, random, env }: Deps,
): Promise<{ readonly directory: string; readonly vault: Vault; readonly interfaces: readonly InterfaceFacts[] }> {
  assertNewDirectory(path);
  if (config.database === null) throw new TypeError('one more hub needs the database of the others');
  const made = await reopenVault(vaultText, method, random);
  const store = await openDatabase<HubDatabase>(
    { choice: config.database, sqliteFile: '', env },
    { migrations, create: false },
  );
  try {
    const key = await ownAuditKey(store, made.vault);
    const interfaces = await store.read(listInterfaceFacts);
    refuseUnknown(config.interfaces, interfaces);
    const directory = createDataDirectory(path);
    storeVault(directory, made);
    await store.transaction((tx) =>
      appendAudit(tx, {
        time: clock.now(),
        event: 'hub_joined',
        detail: { name: config.name, interfaces: config.interfaces },
      }),
    );
    const auditKey = createPublicKey(key).export({ format: 'pem', type: 'spki' }).toString();
    writeFileAtomic(auditKeyFile(directory), auditKey, { mode: 0o644 });
    writeConfig(directory, config);
    return { directory, vault: made.vault, interfaces };
  } finally {
    await store.close();
  }
}

/** Worked out from what is sealed in the database: rows that anybody could write prove nothing. */
async function ownAuditKey(store: Store<HubDatabase>, vault: Vault): Promise<KeyObject> {
  try {
    const key = await sealedAuditKey(store, vault);
    const publicKey = createPublicKey(key).export({ format: 'pem', type: 'spki' }).toString();
    if (await store.read((tx) => isSignedBy(tx, publicKey))) return key;
  } catch (cause) {
    throw isLatchkeyError(cause, 'vault_damaged') ? foreign(cause) : cause;
  }
  throw foreign();
}

/** Throws `interface_unknown` (exit 2) when a config names an interface that the store does not have. */
export function refuseUnknown(names: HubConfig['interfaces'], stored: readonly { readonly name: string }[]): void {
  const unknown = (names ?? []).filter((name) => !stored.some((one) => one.name === name));
  if (unknown.length === 0) return;
  throw new LatchkeyError(
    'interface_unknown',
    `"interfaces" has ${unknown.join(', ')}, which the store does not have`,
    {
      exit: 2,
      field: 'interfaces',
      hint: `there is ${stored.map((one) => one.name).join(', ') || 'none'}; wghub interface add makes another`,
    },
  );
}

/** Opens a hub's data; the caller closes the store. Throws `data_missing`, `database_foreign`. */
export async function openHubData(path: string, env: Environment = process.env): Promise<HubData> {
  const directory = openDirectory(path, ['config.json', 'vault.json'], 'hub', 'wghub');
  const config = readConfig(directory);
  const auditKey = readAuditKey(directory);
  const sqliteFile = databaseFile(directory);
  const place = { choice: config.database, sqliteFile, env };
  const store = await openDatabase<HubDatabase>(place, { migrations, create: false });
  if (config.database === null || (await store.read((tx) => isSignedBy(tx, auditKey)))) {
    const postgres = postgresOf(place);
    return { directory, config, store, databaseFile: postgres === null ? sqliteFile : null, postgres, auditKey };
  }
  await store.close();
  throw foreign();
}

function foreign(cause?: unknown): LatchkeyError {
  return new LatchkeyError('database_foreign', 'the database belongs to another hub', {
    exit: 3,
    hint: 'check the URL of the database, and that vault.json and audit.pub are of the hub that made it',
    cause,
  });
}

/** Opens a hub's data for one piece of work. */
export async function withHubData<T>(path: string, env: Environment, work: (data: HubData) => Promise<T>): Promise<T> {
  const data = await openHubData(path, env);
  try {
    return await work(data);
  } finally {
    await data.store.close();
  }
}

/** The key that signs the audit log. Throws `vault_damaged` when `audit.pub` is not of it. */
export async function loadAuditKey({ store, auditKey }: HubData, vault: Vault): Promise<KeyObject> {
  const key = await sealedAuditKey(store, vault);
  if (createPublicKey(key).equals(createPublicKey(auditKey))) return key;
  throw new LatchkeyError('vault_damaged', 'audit.pub does not belong to the audit key in the vault');
}

async function sealedAuditKey(store: Store<HubDatabase>, vault: Vault): Promise<KeyObject> {
  const row = await store.read((tx) =>
    tx.selectFrom('server_secret').select('sealed').where('name', '=', 'audit-key').executeTakeFirst(),
  );
  if (row === undefined) throw new LatchkeyError('vault_damaged', 'the database holds no key for the audit log');
  const der = vault.open(secretName('audit-key', ''), row.sealed);
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
}

function readAuditKey(directory: string): string {
  const path = auditKeyFile(directory);
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new LatchkeyError('data_missing', `${path} is missing`, { cause, hint: 'restore it from a backup' });
  }
}

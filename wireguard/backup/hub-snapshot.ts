import { statSync } from 'node:fs';
import { configFile } from '../../platform/config-file.ts';
import { createSecretFile } from '../../platform/files.ts';
import { openSqlite } from '../../platform/sqlite.ts';
import { snapshotSqlite } from '../../platform/sqlite-snapshot.ts';
import { vaultFile } from '../../platform/vault/vault-file.ts';
import { writeConfig } from '../data/hub-config.ts';
import { auditKeyFile, databaseFile, type HubData } from '../data/hub-data.ts';
import { type HubDatabase, migrations } from '../store/schema.ts';
import { copyTables } from './table-copy.ts';

/**
 * Puts one moment of a hub into `folder`, whichever database it has, while it runs: out of PostgreSQL as a SQLite file of the
 * same tables, so that a backup can go to either. Answers the paths of everything a hub needs besides its secret.
 */
export async function snapshotHub(data: HubData, folder: string): Promise<readonly string[]> {
  const { directory } = data;
  const snapshot = databaseFile(folder);
  createSecretFile(snapshot, '');
  if (data.databaseFile !== null) {
    snapshotSqlite(data.databaseFile, snapshot);
    return [vaultFile(directory), auditKeyFile(directory), snapshot, configFile(directory)];
  }
  await copyOut(data, snapshot);
  writeConfig(folder, { ...data.config, database: null });
  return [vaultFile(directory), auditKeyFile(directory), snapshot, configFile(folder)];
}

/** Bytes of the database; 0 where it is another program's. */
export function databaseSize({ databaseFile: file }: HubData): number {
  return file === null ? 0 : statSync(file).size;
}

/** All tables as one transaction sees them; writers go on meanwhile. */
async function copyOut({ store }: HubData, snapshot: string): Promise<void> {
  const copy = await openSqlite<HubDatabase>(snapshot, { migrations, create: true });
  try {
    await store.read((db) =>
      db
        .transaction()
        .setIsolationLevel('repeatable read')
        .execute((from) => copy.transaction((to) => copyTables(from, to))),
    );
  } finally {
    await copy.close();
  }
}

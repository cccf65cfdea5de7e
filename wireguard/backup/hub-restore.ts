import { rmSync } from 'node:fs';
import { basename } from 'node:path';
import { appendAudit } from '../../platform/audit-chain.ts';
import type { Opener } from '../../platform/backup/envelope.ts';
import { restoreDirectory, type UnpackedCopy } from '../../platform/backup/restored-directory.ts';
import type { DatabaseChoice, Environment } from '../../platform/database-choice.ts';
import type { KekHeader } from '../../platform/vault/unseal.ts';
import { sealMethodOf } from '../../platform/vault/vault-file.ts';
import { type HubConfig, readConfig, writeConfig } from '../data/hub-config.ts';
import { databaseFile, withHubData } from '../data/hub-data.ts';
import { refuseOlder } from '../gateways/gateway-store.ts';
import type { BackupTable } from '../store/schema.ts';
import { fillDatabase } from './filled-database.ts';
import { archiveKind, recordBackup } from './hub-backup.ts';
import { checkHub } from './hub-check.ts';

export interface HubRestoreOrder {
  readonly from: string;
  /** The data directory that is to be. */
  readonly path: string;
  readonly opener: Opener;
  readonly sealedWith: BackupTable['sealed_with'];
  /** Where the state goes. */
  readonly database: DatabaseChoice;
}

export interface HubRestoreReport {
  readonly directory: string;
  readonly hub: string;
  /** When the backup was made, milliseconds since 1970. */
  readonly madeAt: number;
  /** By which kind of secret its vault is opened. */
  readonly sealedWith: KekHeader['method'];
  readonly records: number;
  readonly peers: number;
  readonly interfaces: readonly { readonly name: string; readonly endpoint: string }[];
  /** Which of them this hub keeps; `null` for all. */
  readonly keeps: HubConfig['interfaces'];
}

/** Makes a new data directory, and where wanted a database in PostgreSQL, out of a backup of a hub. On the restored log this is a record. */
export async function restoreHub(
  order: HubRestoreOrder,
  { now, env }: { readonly now: number; readonly env: Environment },
): Promise<HubRestoreReport> {
  const { directory, copy, settled } = await restoreDirectory({
    from: order.from,
    path: order.path,
    kind: archiveKind,
    opener: order.opener,
    publicFiles: ['audit.pub'],
    settle: async (unpacked) => {
      const { audit, peers } = await checkHub(unpacked.workshop);
      const sealedWith = await sealMethodOf(unpacked.workshop);
      const interfaces = await recordRestore(unpacked, order, now);
      if (order.database !== null) await moveToDatabase(unpacked.workshop, order.database, env);
      const { interfaces: keeps } = readConfig(unpacked.workshop);
      return { sealedWith, records: audit.records, peers, interfaces, keeps };
    },
  });
  return { directory, hub: copy.subject, madeAt: copy.madeAt, ...settled };
}

function recordRestore(
  { workshop, sha256, bytes, madeAt }: UnpackedCopy,
  { from, sealedWith }: HubRestoreOrder,
  now: number,
): Promise<HubRestoreReport['interfaces']> {
  return withHubData(workshop, {}, ({ store }) =>
    store.transaction(async (tx) => {
      const file = basename(from);
      await recordBackup(tx, { sha256, made_at: madeAt, size: bytes, file, sealed_with: sealedWith });
      await refuseOlder(tx, now);
      await tx.deleteFrom('session').execute(); // whoever was logged in then may have logged out since
      await appendAudit(tx, { time: now, event: 'hub_restored', detail: { backup_made_at: madeAt, sha256 } });
      return tx.selectFrom('interface').select(['name', 'endpoint']).orderBy('name').execute();
    }),
  );
}

async function moveToDatabase(workshop: string, choice: DatabaseChoice, env: Environment): Promise<void> {
  await withHubData(workshop, {}, async ({ store, config }) => {
    await store.read((from) => fillDatabase(from, { choice, sqliteFile: '', env }));
    writeConfig(workshop, { ...config, database: choice });
  });
  for (const end of ['', '-wal', '-shm']) rmSync(`${databaseFile(workshop)}${end}`, { force: true });
}

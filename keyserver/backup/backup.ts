import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type AuditReport, appendAudit, verifyAudit } from '../../platform/audit-chain.ts';
import type { ArchiveKind } from '../../platform/backup/archive-kind.ts';
import { type BackupFile, newBackupPath, writeBackup } from '../../platform/backup/backup-file.ts';
import { secretEnvelope } from '../../platform/backup/envelope.ts';
import type { Clock, RandomBytes } from '../../platform/clock.ts';
import { configFile } from '../../platform/config-file.ts';
import { isLatchkeyError, LatchkeyError } from '../../platform/errors.ts';
import { createSecretFile } from '../../platform/files.ts';
import { checkSqlite, snapshotSqlite } from '../../platform/sqlite-snapshot.ts';
import type { UnsealMethod } from '../../platform/vault/unseal.ts';
import { sealMethodOf, vaultFile } from '../../platform/vault/vault-file.ts';
import { raiseAlert } from '../alerts/raise.ts';
import { databaseFile, killFile } from '../data-directory.ts';
import { openServerData, type ServerData } from '../server-data.ts';

/** The first line of its file, and what a manifest calls the server's address. */
export const archiveKind: ArchiveKind = { magic: 'latchkey backup 1 ', words: 'a key server', subject: 'url' };

/** Files of a data directory that everybody may read. */
export const publicFiles: readonly string[] = ['ca.pem', 'audit.pub', 'crl.pem', 'crl.der'];

export interface BackupReport extends Omit<BackupFile<unknown>, 'checked'> {
  readonly records: number;
  readonly keys: number;
}

interface Deps {
  readonly clock: Clock;
  readonly random: RandomBytes;
}

/**
 * Puts everything a server needs besides its unseal secret into one new file, sealed under `method`; the server may run. It
 * counts as made only after it was opened again from the disk and checked whole. A failure is put on record and told to the
 * owner, and leaves no file.
 */
export async function makeBackup(
  data: ServerData,
  out: string,
  method: UnsealMethod,
  deps: Deps,
): Promise<BackupReport> {
  if (data.databaseFile === null) {
    throw new LatchkeyError('backup_elsewhere', 'the state is in PostgreSQL, which this command does not back up', {
      exit: 3,
      hint: 'use pg_dump, and keep vault.json, config.json, ca.pem and audit.pub of the data directory with it',
    });
  }
  const target = newBackupPath(out);
  const now = deps.clock.now();
  try {
    const report = await writeAndCheck(data, target, method, deps, now);
    await data.store.transaction(async (tx) => {
      await tx.insertInto('backup').values({ made_at: now, sha256: report.sha256, size: report.bytes }).execute();
      const detail = { sha256: report.sha256, bytes: report.bytes, records: report.records };
      await appendAudit(tx, { time: now, event: 'backup_made', detail });
    });
    return report;
  } catch (error) {
    await recordFailure(data, error, now).catch(() => undefined); // the error that led here is the one to tell
    throw error;
  }
}

/** When the last good backup was made, milliseconds since 1970; `null` before the first. */
export async function lastBackup({ store }: Pick<ServerData, 'store'>): Promise<number | null> {
  const row = await store.read((tx) =>
    tx.selectFrom('backup').select('made_at').orderBy('made_at', 'desc').limit(1).executeTakeFirst(),
  );
  return row?.made_at ?? null;
}

async function writeAndCheck(
  data: ServerData,
  target: string,
  method: UnsealMethod,
  { random }: Deps,
  now: number,
): Promise<BackupReport> {
  const { directory } = data;
  const database = databaseFile(directory);
  const gather = async (workshop: string): Promise<readonly string[]> => {
    const snapshot = join(workshop, 'keyserver.db');
    createSecretFile(snapshot, '');
    snapshotSqlite(database, snapshot);
    const others = [killFile(directory), vaultFile(directory), ...publicFiles.map((name) => join(directory, name))];
    return [...others.filter((path) => existsSync(path)), snapshot, configFile(directory)];
  };
  const source = {
    kind: archiveKind,
    directory,
    subject: data.config.url,
    size: statSync(database).size,
    gather,
    check: checkUnpacked,
    passedOver: ['keyserver.db-wal', 'keyserver.db-shm'],
  };
  const { checked, ...file } = await writeBackup(source, target, secretEnvelope(method, random), now);
  return { ...file, records: checked.audit.records, keys: checked.keys };
}

/** Opens an unpacked backup as a server would: config, vault header, every page of the database, every audit record. */
export async function checkUnpacked(
  directory: string,
): Promise<{ readonly audit: AuditReport; readonly keys: number }> {
  checkSqlite(databaseFile(directory));
  await sealMethodOf(directory);
  const data = await openServerData(directory);
  try {
    return await data.store.read(async (tx) => ({
      audit: await verifyAudit(tx, data.auditKey),
      keys: (await tx.selectFrom('stored_key').select('key_id').execute()).length,
    }));
  } finally {
    await data.store.close();
  }
}

async function recordFailure(data: ServerData, error: unknown, now: number): Promise<void> {
  const reason = isLatchkeyError(error) ? error.code : ((error as NodeJS.ErrnoException).code ?? 'internal_error');
  const lastGood = await lastBackup(data);
  await data.store.transaction(async (tx) => {
    await appendAudit(tx, { time: now, event: 'backup_failed', reason });
    await raiseAlert(tx, { event: 'backup_failed', reason, lastGood }, now);
  });
}

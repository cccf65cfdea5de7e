import { basename } from 'node:path';
import type { Kysely } from 'kysely';
import { appendAudit } from '../../platform/audit-chain.ts';
import type { ArchiveKind } from '../../platform/backup/archive-kind.ts';
import { type BackupFile, writeBackup } from '../../platform/backup/backup-file.ts';
import type { Envelope } from '../../platform/backup/envelope.ts';
import { isLatchkeyError } from '../../platform/errors.ts';
import type { HubData } from '../data/hub-data.ts';
import type { BackupTable, HubDatabase } from '../store/schema.ts';
import { checkHub, type HubContents } from './hub-check.ts';
import { databaseSize, snapshotHub } from './hub-snapshot.ts';

/** The first line of its file, and what a manifest calls the hub. */
export const archiveKind: ArchiveKind = { magic: 'latchkey hub backup 1 ', words: 'a hub', subject: 'hub' };

/** What seals a backup, and how that is called on record. */
export interface HubSealing {
  readonly envelope: Envelope;
  readonly sealedWith: BackupTable['sealed_with'];
}

/** Copied otherwise, of no use elsewhere, or made anew from the key in the store. */
const passedOver = ['hub.db', 'hub.db-wal', 'hub.db-shm', 'hub.sock', 'tls.pem'];

/**
 * Puts everything a hub needs besides its unseal secret into the new file `target`; the hub may run. It counts as made only after
 * it was opened again from the disk and checked whole. It goes on record, and so does a failure.
 */
export async function makeHubBackup(
  data: HubData,
  target: string,
  { envelope, sealedWith }: HubSealing,
  now: number,
): Promise<BackupFile<HubContents>> {
  const source = {
    kind: archiveKind,
    directory: data.directory,
    subject: data.config.name,
    size: databaseSize(data),
    gather: (workshop: string) => snapshotHub(data, workshop),
    check: checkHub,
    passedOver,
  };
  try {
    const made = await writeBackup(source, target, envelope, now);
    const { sha256, bytes } = made;
    await data.store.transaction(async (tx) => {
      await recordBackup(tx, { sha256, made_at: now, size: bytes, file: basename(made.file), sealed_with: sealedWith });
      const detail = { sha256, bytes, records: made.checked.audit.records, sealed_with: sealedWith };
      await appendAudit(tx, { time: now, event: 'backup_made', detail });
    });
    return made;
  } catch (error) {
    await recordFailure(data, error, now).catch(() => undefined); // the error that led here is the one to tell
    throw error;
  }
}

/** Notes a backup that can be relied on. */
export async function recordBackup(tx: Kysely<HubDatabase>, backup: BackupTable): Promise<void> {
  await tx
    .insertInto('backup')
    .values(backup)
    .onConflict((conflict) => conflict.column('sha256').doNothing())
    .execute();
}

async function recordFailure({ store }: HubData, error: unknown, now: number): Promise<void> {
  const reason = isLatchkeyError(error) ? error.code : ((error as NodeJS.ErrnoException).code ?? 'internal_error');
  await store.transaction((tx) => appendAudit(tx, { time: now, event: 'backup_failed', reason }));
}

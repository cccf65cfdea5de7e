import { closeSync, existsSync, mkdirSync, openSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type AuditReport, appendAudit, verifyAudit } from '../../platform/audit-chain.ts';
import { digestOf, manifestOf, unpackArchive, writeArchive } from '../../platform/backup/archive.ts';
import type { Clock, RandomBytes } from '../../platform/clock.ts';
import { isLatchkeyError, LatchkeyError } from '../../platform/errors.ts';
import { createSecretFile } from '../../platform/files.ts';
import { checkSqlite, snapshotSqlite } from '../../platform/sqlite-snapshot.ts';
import type { UnsealMethod } from '../../platform/vault/unseal.ts';
import { sealMethodOf, vaultFile } from '../../platform/vault/vault-file.ts';
import { raiseAlert } from '../alerts/raise.ts';
import { configFile } from '../config.ts';
import { databaseFile, killFile } from '../data-directory.ts';
import { openServerData, type ServerData } from '../server-data.ts';

/** Files of a data directory that everybody may read. */
export const publicFiles: readonly string[] = ['ca.pem', 'audit.pub', 'crl.pem', 'crl.der'];

/** Left free on the server's disk: a backup must not be what stops the releases. */
const spareSpace = 64 * 1_048_576;

export interface BackupReport {
  readonly file: string;
  readonly bytes: number;
  /** Of the file, hex. */
  readonly sha256: string;
  readonly records: number;
  readonly keys: number;
  /** Files of the data directory that this program does not know and did not put in. */
  readonly leftOut: readonly string[];
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
  const target = resolve(out);
  if (existsSync(target)) {
    throw new LatchkeyError('file_exists', `${target} is there already and is never overwritten`, { exit: 3 });
  }
  const now = deps.clock.now();
  try {
    const report = await writeAndCheck(data, target, method, deps);
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
  { clock, random }: Deps,
): Promise<BackupReport> {
  await assertSpace(data.directory);
  const workshop = makeWorkshop(data.directory);
  const partial = `${target}.partial`;
  try {
    const snapshot = join(workshop, 'keyserver.db');
    createSecretFile(snapshot, '');
    snapshotSqlite(databaseFile(data.directory), snapshot);
    const { directory } = data;
    const others = [killFile(directory), vaultFile(directory), ...publicFiles.map((name) => join(directory, name))];
    const paths = [...others.filter((path) => existsSync(path)), snapshot, configFile(directory)];
    const manifest = await manifestOf(paths, data.config.url, clock.now());
    const header = method.newHeader(random);
    const key = await method.kekOf(header);
    createSecretFile(partial, '');
    const file = openSync(partial, 'r+');
    try {
      await writeArchive(file, manifest, paths, { header, key });
    } finally {
      closeSync(file);
    }
    rmSync(snapshot);
    const again = join(workshop, 'again');
    mkdirSync(again, { mode: 0o700 });
    await unpackArchive(partial, method, again);
    const { audit, keys } = await checkUnpacked(again);
    const sha256 = await digestOf(partial);
    renameSync(partial, target);
    const leftOut = unknownFiles(directory, paths);
    return { file: target, bytes: statSync(target).size, sha256, records: audit.records, keys, leftOut };
  } finally {
    rmSync(partial, { force: true });
    rmSync(workshop, { recursive: true, force: true });
  }
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

/** A private folder in the data directory; what a backup that was killed left there goes. */
function makeWorkshop(directory: string): string {
  for (const name of readdirSync(directory)) {
    const pid = /^\.backup-([0-9]+)$/.exec(name)?.[1];
    if (pid !== undefined && !isRunning(Number(pid))) rmSync(join(directory, name), { recursive: true, force: true });
  }
  const workshop = join(directory, `.backup-${process.pid}`);
  mkdirSync(workshop, { mode: 0o700 });
  return workshop;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function assertSpace(directory: string): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  const needed = 2 * statSync(databaseFile(directory)).size + spareSpace;
  if (bavail * bsize >= needed) return;
  throw new LatchkeyError('disk_too_full', `a backup needs ${Math.ceil(needed / 1_048_576)} MiB free for a while`, {
    exit: 3,
    hint: 'free some space on the disk of the data directory: a full disk stops every release',
  });
}

function unknownFiles(directory: string, known: readonly string[]): string[] {
  const database = databaseFile(directory);
  const transient = new Set([...known, database, `${database}-wal`, `${database}-shm`]);
  return readdirSync(directory).filter((name) => !transient.has(join(directory, name)) && !name.startsWith('.backup-'));
}

async function recordFailure(data: ServerData, error: unknown, now: number): Promise<void> {
  const reason = isLatchkeyError(error) ? error.code : ((error as NodeJS.ErrnoException).code ?? 'internal_error');
  const lastGood = await lastBackup(data);
  await data.store.transaction(async (tx) => {
    await appendAudit(tx, { time: now, event: 'backup_failed', reason });
    await raiseAlert(tx, { event: 'backup_failed', reason, lastGood }, now);
  });
}

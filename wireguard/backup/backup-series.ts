import { lstatSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { digestOf } from '../../platform/backup/archive.ts';
import type { HubData } from '../data/hub-data.ts';

/** A backup of a series as the store has it on record. */
export interface RecordedBackup {
  readonly file: string;
  readonly madeAt: number;
  readonly size: number;
  readonly sha256: string;
}

/** The name of a hub's backup of this moment: `wghub-NAME-20260131T020304Z.backup`, and `.age` behind it. */
export function seriesName(hub: string, now: number, isAge: boolean): string {
  const time = new Date(now).toISOString().replace(/[-:]|\.\d{3}/g, '');
  return `${seriesPrefix(hub)}${time}.backup${isAge ? '.age' : ''}`;
}

/** Whether a file could be of this hub's series, by its name. */
export function isSeriesName(hub: string, name: string): boolean {
  const prefix = seriesPrefix(hub);
  return name.startsWith(prefix) && /^\d{8}T\d{6}Z\.backup(\.age)?$/.test(name.slice(prefix.length));
}

function seriesPrefix(hub: string): string {
  return `wghub-${hub.replace(/[^A-Za-z0-9.-]/g, '_')}-`;
}

/** Of the backups that are as they were made, those beyond the newest `keep`. */
export function surplus(sound: readonly RecordedBackup[], keep: number): readonly RecordedBackup[] {
  return [...sound].sort((a, b) => b.madeAt - a.madeAt || (a.file < b.file ? 1 : -1)).slice(keep);
}

export interface SeriesReport {
  /** How many sound backups of this hub are in the folder now. */
  readonly kept: number;
  readonly removed: readonly string[];
  /** Files of the series that are no longer what was made: they count for nothing and are left as they are. */
  readonly altered: readonly string[];
}

/**
 * Keeps the newest `keep` backups of this hub in `folder` and removes the older ones. Only files count, and only those are removed,
 * that this hub has on record and that still have the digest of then.
 */
export async function pruneSeries(data: HubData, folder: string, keep: number): Promise<SeriesReport> {
  const names = new Set(readdirSync(folder).filter((name) => isSeriesName(data.config.name, name)));
  const rows = await data.store.read((db) => db.selectFrom('backup').selectAll().orderBy('made_at').execute());
  const recorded = rows
    .map(({ file, made_at, size, sha256 }) => ({ file, madeAt: made_at, size, sha256 }))
    .filter(({ file }) => names.has(file));
  const sound: RecordedBackup[] = [];
  for (const backup of recorded) if (await isAsMade(folder, backup)) sound.push(backup);
  const old = surplus(sound, keep);
  for (const { file } of old) rmSync(join(folder, file));
  if (old.length > 0) {
    const digests = old.map(({ sha256 }) => sha256);
    await data.store.transaction((tx) => tx.deleteFrom('backup').where('sha256', 'in', digests).execute());
  }
  const soundNames = new Set(sound.map(({ file }) => file));
  const altered = [...names].filter((name) => !soundNames.has(name) && recorded.some(({ file }) => file === name));
  return { kept: sound.length - old.length, removed: old.map(({ file }) => file), altered };
}

async function isAsMade(folder: string, { file, size, sha256 }: RecordedBackup): Promise<boolean> {
  const path = join(folder, file);
  const state = lstatSync(path);
  return state.isFile() && state.size === size && (await digestOf(path)) === sha256;
}

import { existsSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Kysely } from 'kysely';
import { appendAudit } from '../../platform/audit-chain.ts';
import {
  type DatabaseChoice,
  type DatabasePlace,
  type Environment,
  showDatabase,
} from '../../platform/database-choice.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { createSecretFile, syncFolder } from '../../platform/files.ts';
import { writeConfig } from '../data/hub-config.ts';
import { databaseFile, doorbellFile, type HubData, withHubData } from '../data/hub-data.ts';
import { isAtDoor } from '../hub/doorbell.ts';
import { keptInterfaces } from '../hub/tell-hubs.ts';
import type { HubDatabase } from '../store/schema.ts';
import { fillDatabase } from './filled-database.ts';
import type { TableDigest } from './table-copy.ts';

export interface MigrationReport {
  /** Where the state was, and still is as it was, for people. */
  readonly from: string;
  readonly to: string;
  readonly tables: readonly TableDigest[];
}

interface Deps {
  readonly now: number;
  readonly env: Environment;
}

/**
 * Moves the state of a hub that does not run to another database. The old one is locked until `config.json` names the new one,
 * which it does only when both were compared; ended at any moment before that, the old one is what counts.
 */
export async function migrateHub(path: string, choice: DatabaseChoice, { now, env }: Deps): Promise<MigrationReport> {
  const report = await withHubData(path, env, async (data) => {
    const from = placeOf(data, data.config.database, env);
    const to = placeOf(data, choice, env);
    if (showDatabase(from) === showDatabase(to)) {
      throw new LatchkeyError('usage', `the state is in ${showDatabase(to)} already`, { exit: 2 });
    }
    await assertAtRest(data);
    // waits for the other database within it: nobody else is served by this process, and the lock is what is wanted
    const tables = await data.store.transaction(async (db) => {
      const copied = choice === null ? await fillFile(db, to) : await fillDatabase(db, to);
      await switchConfig(data, choice);
      return copied;
    });
    return { from: showStore(from), to: showStore(to), tables };
  });
  await withHubData(path, env, ({ store }) =>
    store.transaction((tx) =>
      appendAudit(tx, { time: now, event: 'store_moved', detail: { from: report.from, to: report.to } }),
    ),
  );
  return report;
}

function placeOf({ directory }: HubData, choice: DatabaseChoice, env: Environment): DatabasePlace {
  return { choice, sqliteFile: databaseFile(directory), env };
}

function showStore(place: DatabasePlace): string {
  return place.choice === null ? place.sqliteFile : showDatabase(place);
}

/** Fills a file beside its place, so that a database under its own name is always whole. */
async function fillFile(from: Kysely<HubDatabase>, place: DatabasePlace): Promise<readonly TableDigest[]> {
  const { sqliteFile } = place;
  if (existsSync(sqliteFile)) return fillDatabase(from, place); // takes it when it holds the very same
  const unfinished = `${sqliteFile}.migrating`;
  for (const end of ['', '-wal', '-shm']) rmSync(`${unfinished}${end}`, { force: true });
  createSecretFile(unfinished, '');
  const tables = await fillDatabase(from, { ...place, sqliteFile: unfinished });
  renameSync(unfinished, sqliteFile);
  syncFolder(dirname(sqliteFile));
  return tables;
}

async function assertAtRest(data: HubData): Promise<void> {
  if (await isAtDoor(doorbellFile(data.directory))) throw running('the hub is running');
  const [kept] = await keptInterfaces(data);
  if (kept !== undefined) throw running(`${kept.hub ?? 'another hub'} is running and keeps ${kept.interface}`);
}

function running(words: string): LatchkeyError {
  return new LatchkeyError('hub_running', `${words}, and would go on in its old store`, {
    exit: 3,
    hint: 'stop every wghub start on it first; tunnels go on without it',
  });
}

/** A hub that was started meanwhile has opened the old store: then the old one stays what counts. */
async function switchConfig(data: HubData, choice: DatabaseChoice): Promise<void> {
  writeConfig(data.directory, { ...data.config, database: choice });
  try {
    await assertAtRest(data);
  } catch (error) {
    writeConfig(data.directory, data.config);
    throw error;
  }
}

import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Kysely } from 'kysely';
import { appendAudit } from '../../platform/audit-chain.ts';
import { digestOf, unpackArchive } from '../../platform/backup/archive.ts';
import type { Clock } from '../../platform/clock.ts';
import { assertNewDirectory, createDataDirectory } from '../../platform/data-directory.ts';
import type { KekHeader, UnsealMethod } from '../../platform/vault/unseal.ts';
import { sealMethodOf } from '../../platform/vault/vault-file.ts';
import { withdrawCodes } from '../clients/enrolment.ts';
import { withdrawGrants } from '../clients/grant.ts';
import type { Database } from '../schema.ts';
import { withServerData } from '../server-data.ts';
import { checkUnpacked, publicFiles } from './backup.ts';

export interface RestoreReport {
  readonly directory: string;
  /** When the backup was made, milliseconds since 1970. */
  readonly madeAt: number;
  readonly url: string;
  readonly sealedWith: KekHeader['method'];
  readonly records: number;
  readonly keys: number;
  /** Names of the clients that have to be reset, if they had a key released or were enrolled since. */
  readonly clients: readonly string[];
}

/**
 * Makes a new data directory out of a backup. It is unpacked and checked in a folder within it; the files move to their
 * places at the end, `config.json` last, so that what is not whole is no server. On the restored log this is a record.
 *
 * What the backup cannot know is ended where that is safe: codes and grants that were not used then may have been since.
 */
export async function restoreBackup(
  from: string,
  path: string,
  method: UnsealMethod,
  clock: Clock,
): Promise<RestoreReport> {
  assertNewDirectory(path);
  const wasThere = existsSync(resolve(path));
  const directory = createDataDirectory(path);
  const workshop = join(directory, '.restoring');
  try {
    mkdirSync(workshop, { mode: 0o700 });
    const manifest = await unpackArchive(from, method, workshop);
    const sha256 = await digestOf(from);
    const { audit, keys } = await checkUnpacked(workshop);
    const sealedWith = await sealMethodOf(workshop);
    const clients = await withServerData(workshop, ({ store }) =>
      store.transaction((tx) => settle(tx, { sha256, madeAt: manifest.madeAt, now: clock.now() })),
    );
    moveUp(workshop, directory);
    return { directory, madeAt: manifest.madeAt, url: manifest.url, sealedWith, records: audit.records, keys, clients };
  } catch (error) {
    rmSync(workshop, { recursive: true, force: true });
    if (!wasThere) rmdirSync(directory);
    throw error;
  }
}

async function settle(
  tx: Kysely<Database>,
  { sha256, madeAt, now }: { readonly sha256: string; readonly madeAt: number; readonly now: number },
): Promise<string[]> {
  const clients = await tx.selectFrom('client').select(['id', 'name', 'state']).orderBy('name').execute();
  for (const { id } of clients) {
    await withdrawCodes(tx, id, now);
    await withdrawGrants(tx, id);
  }
  await appendAudit(tx, { time: now, event: 'server_restored', detail: { backup_made_at: madeAt, sha256 } });
  return clients.filter(({ state }) => state !== 'revoked').map(({ name }) => name);
}

function moveUp(workshop: string, directory: string): void {
  const names = readdirSync(workshop).sort((a, b) => Number(a === 'config.json') - Number(b === 'config.json'));
  for (const name of names) {
    if (publicFiles.includes(name)) chmodSync(join(workshop, name), 0o644);
    renameSync(join(workshop, name), join(directory, name));
  }
  rmdirSync(workshop);
}

import type { Kysely } from 'kysely';
import { appendAudit } from '../../platform/audit-chain.ts';
import { secretOpener } from '../../platform/backup/envelope.ts';
import { restoreDirectory, type UnpackedCopy } from '../../platform/backup/restored-directory.ts';
import type { Clock } from '../../platform/clock.ts';
import type { KekHeader, UnsealMethod } from '../../platform/vault/unseal.ts';
import { sealMethodOf } from '../../platform/vault/vault-file.ts';
import { withdrawCodes } from '../clients/enrolment.ts';
import { withdrawGrants } from '../clients/grant.ts';
import type { Database } from '../schema.ts';
import { withServerData } from '../server-data.ts';
import { archiveKind, checkUnpacked, publicFiles } from './backup.ts';

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
 * Makes a new data directory out of a backup; on the restored log this is a record. What the backup cannot know is ended where
 * that is safe: codes and grants that were not used then may have been since.
 */
export async function restoreBackup(
  from: string,
  path: string,
  method: UnsealMethod,
  clock: Clock,
): Promise<RestoreReport> {
  const { directory, copy, settled } = await restoreDirectory({
    from,
    path,
    kind: archiveKind,
    opener: secretOpener(method),
    publicFiles,
    settle: async (unpacked) => {
      const { audit, keys } = await checkUnpacked(unpacked.workshop);
      const sealedWith = await sealMethodOf(unpacked.workshop);
      const clients = await withServerData(unpacked.workshop, ({ store }) =>
        store.transaction((tx) => settle(tx, unpacked, clock.now())),
      );
      return { sealedWith, records: audit.records, keys, clients };
    },
  });
  return { directory, madeAt: copy.madeAt, url: copy.subject, ...settled };
}

async function settle(tx: Kysely<Database>, { sha256, madeAt }: UnpackedCopy, now: number): Promise<string[]> {
  const clients = await tx.selectFrom('client').select(['id', 'name', 'state']).orderBy('name').execute();
  for (const { id } of clients) {
    await withdrawCodes(tx, id, now);
    await withdrawGrants(tx, id);
  }
  await appendAudit(tx, { time: now, event: 'server_restored', detail: { backup_made_at: madeAt, sha256 } });
  return clients.filter(({ state }) => state !== 'revoked').map(({ name }) => name);
}

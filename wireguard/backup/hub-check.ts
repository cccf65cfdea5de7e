import type { Kysely } from 'kysely';
import { sql } from 'kysely';
import { type AuditReport, verifyAudit } from '../../platform/audit-chain.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { checkSqlite } from '../../platform/sqlite-snapshot.ts';
import { sealMethodOf } from '../../platform/vault/vault-file.ts';
import { readConfig } from '../data/hub-config.ts';
import { databaseFile, withHubData } from '../data/hub-data.ts';
import type { HubDatabase } from '../store/schema.ts';
import { storedTables } from '../store/tables.ts';

/** What a backup of a hub holds. */
export interface HubContents {
  readonly audit: AuditReport;
  readonly interfaces: number;
  /** Those that are not deleted. */
  readonly peers: number;
  /** Secrets in the database, each sealed by the vault. */
  readonly sealed: number;
}

/** No box is shorter: nonce and tag, around nothing. */
const shortestBox = 28;

/**
 * Opens a hub's data directory without its vault: every page of the database, config, vault header, every audit record, and
 * whether every secret has its box. What is in the boxes only the vault could tell.
 */
export async function checkHub(directory: string): Promise<HubContents> {
  if (readConfig(directory).database !== null) throw damagedStore('is said to be elsewhere');
  checkSqlite(databaseFile(directory));
  await sealMethodOf(directory);
  return withHubData(directory, {}, ({ store, auditKey }) =>
    store.read(async (db) => ({ audit: await verifyAudit(db, auditKey), ...(await contentsOf(db)) })),
  );
}

async function contentsOf(db: Kysely<HubDatabase>): Promise<Omit<HubContents, 'audit'>> {
  const interfaces = await db.selectFrom('interface').select('name').execute();
  const peers = await db.selectFrom('peer').select('id').where('status', '<>', 'deleted').execute();
  const key = await db.selectFrom('server_secret').select('name').where('name', '=', 'audit-key').execute();
  if (key.length === 0) throw damagedStore('has no key for its audit log');
  return { interfaces: interfaces.length, peers: peers.length, sealed: await countBoxes(db) };
}

async function countBoxes(db: Kysely<HubDatabase>): Promise<number> {
  let count = 0;
  for (const { name, sealed } of storedTables) {
    for (const column of sealed) {
      const value = sql.ref(column);
      const { rows } = await sql<{ short: number; all: number }>`
        select coalesce(sum(length(${value}) < ${sql.lit(shortestBox)}), 0) as short, count(${value}) as "all"
        from ${sql.table(name)}`.execute(db);
      if ((rows[0]?.short ?? 1) > 0) throw damagedStore(`has a secret in "${name}" that is no sealed box`);
      count += rows[0]?.all ?? 0;
    }
  }
  return count;
}

function damagedStore(what: string): LatchkeyError {
  return new LatchkeyError('store_damaged', `the database ${what}`);
}

import { setImmediate as breathe } from 'node:timers/promises';
import type { Kysely } from 'kysely';
import { type AuditTables, AuditVerifier, readAudit } from '../../platform/audit-chain.ts';
import { isLatchkeyError } from '../../platform/errors.ts';
import type { Store } from '../../platform/store.ts';
import type { Database } from '../schema.ts';
import { raiseAlert } from './raise.ts';

/** Records checked at once; a millisecond or two, so that requests get in between. */
const page = 200;

/**
 * Checks the whole audit log beside the serving of requests, and raises `audit_broken` when it is. `publicKey` is the
 * server's, PEM. Answers whether it is whole.
 */
export async function checkAudit(
  store: Store<Database>,
  publicKey: string,
  now: () => number,
  stop?: AbortSignal,
): Promise<boolean> {
  try {
    await verifyInPages(store, publicKey, stop);
    return true;
  } catch (error) {
    if (!isLatchkeyError(error, 'audit_broken')) throw error;
    await store.transaction((tx) => raiseAuditBroken(tx, error, now()));
    return false;
  }
}

/** Tells of what `verifyAudit` found. */
export async function raiseAuditBroken(tx: Kysely<Database>, found: Error, now: number): Promise<void> {
  const [, record = '0', reason = ''] = /^audit record (\d+): (.*)$/.exec(found.message) ?? [];
  await raiseAlert(tx, { event: 'audit_broken', record: Number(record), reason }, now);
}

async function verifyInPages(store: Store<Database>, publicKey: string, stop: AbortSignal | undefined): Promise<void> {
  const signatures = await store.read((db) =>
    (db as unknown as Kysely<AuditTables>).selectFrom('audit_signature').selectAll().orderBy('seq').execute(),
  );
  const verifier = new AuditVerifier(signatures, publicKey);
  for (let after = 0; stop?.aborted !== true; ) {
    const rows = await store.read((db) => readAudit(db, after, page));
    for (const row of rows) verifier.add(row);
    const last = rows.at(-1);
    if (last === undefined) return void verifier.finish();
    after = last.seq;
    await breathe();
  }
}

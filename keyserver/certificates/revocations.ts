import { statSync, utimesSync } from 'node:fs';
import type { Kysely } from 'kysely';
import { writeFileAtomic } from '../../platform/files.ts';
import type { Vault } from '../../platform/vault/vault.ts';
import { revocationListFile } from '../data-directory.ts';
import type { Database } from '../schema.ts';
import { loadAuthority, type SigningAuthority } from '../server-secrets.ts';
import { readAuthorities } from './authorities.ts';
import type { Revocation } from './issuing.ts';

/** A list is good for a week; it is written anew each day. */
const listAge = 86_400_000;

/** What a revocation list is made of: an authority and what of its certificates was revoked before its end. */
export interface ListSource {
  readonly authority: SigningAuthority;
  readonly revocations: readonly Revocation[];
}

/** The lists of all authorities that hold, the one that signs first. */
export async function readListSources(tx: Kysely<Database>, vault: Vault, now: number): Promise<ListSource[]> {
  const sources: ListSource[] = [];
  for (const { serial } of await readAuthorities(tx)) {
    const rows = await tx
      .selectFrom('certificate')
      .select(['serial', 'revoked_at', 'revoke_reason'])
      .where('issuer', '=', serial)
      .where('revoked_at', 'is not', null)
      .where('not_after', '>=', now)
      .orderBy('revoked_at')
      .orderBy('serial')
      .execute();
    const revocations = rows.map((row) => ({
      serial: row.serial,
      at: row.revoked_at ?? now,
      reason: row.revoke_reason === 'replaced' ? ('superseded' as const) : ('unspecified' as const),
    }));
    sources.push({ authority: await loadAuthority(tx, vault, serial), revocations });
  }
  return sources;
}

/**
 * Writes `crl.pem` (the lists of all authorities, one behind the other) and `crl.der` (that of the one that signs), for
 * other programs. The key server itself asks its database.
 */
export async function writeRevocationLists(
  directory: string,
  sources: readonly ListSource[],
  now: number,
): Promise<void> {
  const { signRevocationList } = await import('./issuing.ts'); // large, and hardly ever needed
  const lists: { pem: string; der: Buffer }[] = [];
  for (const { authority, revocations } of sources) lists.push(await signRevocationList(authority, revocations, now));
  const [first] = lists;
  if (first === undefined) return;
  writeFileAtomic(revocationListFile(directory, 'der'), first.der, { mode: 0o644 });
  const path = revocationListFile(directory, 'pem');
  writeFileAtomic(path, lists.map(({ pem }) => pem).join(''), { mode: 0o644 });
  utimesSync(path, now / 1000, now / 1000); // what it tells of, by the clock that says when something was revoked
}

/** When the authorities or what they revoked last changed, milliseconds since 1970. */
export async function lastListChange(tx: Kysely<Database>): Promise<number> {
  const row = await tx
    .selectFrom('certificate')
    .select((eb) => [
      eb.fn.max('revoked_at').as('revoked'),
      eb.fn.max(eb.case().when('purpose', '=', 'ca').then(eb.ref('issued_at')).end()).as('made'),
    ])
    .executeTakeFirst();
  return Math.max(Number(row?.revoked ?? 0), Number(row?.made ?? 0));
}

/** Whether the files tell less than what changed at `changedAt`, or are a day old. */
export function areListsStale(directory: string, changedAt: number, now: number): boolean {
  try {
    const written = statSync(revocationListFile(directory, 'pem')).mtimeMs;
    return written < changedAt || Math.abs(now - written) > listAge;
  } catch {
    return true;
  }
}

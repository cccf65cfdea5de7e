import type { Kysely } from 'kysely';
import { appendAudit } from '../../platform/audit-chain.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import type { Identity } from '../../platform/listening/identity.ts';
import type { Vault } from '../../platform/vault/vault.ts';
import type { Database } from '../schema.ts';
import { destroyAuthorityKey, storeAuthority } from '../server-secrets.ts';
import { type Authority, readAuthorities } from './authorities.ts';
import { liveCertificates } from './records.ts';

/**
 * An authority takes the place of another in three steps, and no client is refused on the way.
 *
 * `begin`: the new one is made and signs clients' certificates from then on; those of both hold. Clients are told to
 * trust both, over connections the old one vouches for, and renew. `switch`: the server's own certificate is the new
 * one's; refused while a client may not know it. `finish`: the old one ends with all it signed, its key is destroyed.
 */
export interface Rollover {
  readonly phase: 'none' | 'begun' | 'switched';
  /** The authority that signs clients' certificates. */
  readonly signing: Authority;
  /** The one that ends. */
  readonly ending: Authority | null;
  readonly clients: readonly Follower[];
}

/** How far a client has followed. */
export interface Follower {
  readonly id: string;
  readonly name: string;
  /** It trusts the new authority for sure. */
  readonly ready: boolean;
  readonly found: 'shows its certificate' | 'enrolled since' | 'has not renewed yet' | 'has no certificate to tell by';
}

export async function readRollover(tx: Kysely<Database>): Promise<Rollover> {
  const [signing, ending = null] = await readAuthorities(tx);
  if (signing === undefined) throw new LatchkeyError('vault_damaged', 'the database holds no authority');
  if (ending === null) return { phase: 'none', signing, ending, clients: [] };
  const server = (await liveCertificates(tx, 'server'))[0];
  const phase = server?.issuer === signing.serial ? 'switched' : 'begun';
  const shown = new Set(
    (await liveCertificates(tx, 'client'))
      .filter((row) => row.issuer === signing.serial && row.used_at !== null)
      .map((row) => row.client_id),
  );
  const clients = await tx
    .selectFrom('client')
    .select(['id', 'name', 'enrolled_at', 'certificate_since'])
    .where('state', 'in', ['enrolled', 'locked'])
    .orderBy('name')
    .execute();
  return {
    phase,
    signing,
    ending,
    clients: clients.map(({ id, name, enrolled_at: enrolledAt, certificate_since: since }) => {
      const found = shown.has(id)
        ? 'shows its certificate'
        : (enrolledAt ?? 0) >= signing.issuedAt
          ? 'enrolled since'
          : since === null
            ? 'has no certificate to tell by'
            : 'has not renewed yet';
      return { id, name, ready: found === 'shows its certificate' || found === 'enrolled since', found };
    }),
  };
}

/** The new authority signs from now on. Throws `rollover_under_way` (exit 3). */
export async function beginRollover(
  tx: Kysely<Database>,
  vault: Vault,
  authority: Identity,
  now: number,
): Promise<void> {
  const { phase, signing } = await readRollover(tx);
  if (phase !== 'none') {
    throw new LatchkeyError('rollover_under_way', 'an authority is being replaced already', {
      exit: 3,
      hint: 'see keyserver cert rollover status',
    });
  }
  // the one that signs is the newest: also when the clock went back
  const serial = await storeAuthority(tx, vault, authority, Math.max(now, signing.issuedAt + 1));
  const detail = { authority: serial, in_place_of: signing.serial };
  await appendAudit(tx, { time: now, event: 'authority_made', detail });
}

/**
 * Whether the server may change to the new authority's certificate; answers that authority's serial. Throws
 * `rollover_not_begun`, and unless `force` `clients_behind` (exit 3).
 */
export async function assertMaySwitch(tx: Kysely<Database>, force: boolean): Promise<string> {
  const rollover = await readRollover(tx);
  if (rollover.phase === 'none') throw notBegun();
  if (!force) refuseWhileBehind(rollover, 'they would not know the server any more');
  return rollover.signing.serial;
}

/**
 * The old authority ends, and with it everything it signed. Throws `rollover_not_begun`, `rollover_not_switched` and
 * unless `force` `clients_behind` (exit 3). Answers the old one's serial.
 */
export async function finishRollover(tx: Kysely<Database>, force: boolean, now: number): Promise<string> {
  const rollover = await readRollover(tx);
  const { phase, ending } = rollover;
  if (phase === 'none' || ending === null) throw notBegun();
  if (phase !== 'switched') {
    throw new LatchkeyError(
      'rollover_not_switched',
      'the server still serves with a certificate of the old authority',
      {
        exit: 3,
        hint: 'keyserver cert rollover switch',
      },
    );
  }
  if (!force) refuseWhileBehind(rollover, 'their certificates would end');
  const ended = await tx
    .updateTable('certificate')
    .set({ revoked_at: now, revoke_reason: 'authority ended' })
    .where('issuer', '=', ending.serial)
    .where('revoked_at', 'is', null)
    .executeTakeFirst();
  await destroyAuthorityKey(tx, ending.serial);
  const detail = { authority: ending.serial, certificates: Number(ended.numUpdatedRows) - 1 };
  await appendAudit(tx, { time: now, event: 'authority_ended', detail });
  return ending.serial;
}

function refuseWhileBehind({ clients }: Rollover, why: string): void {
  const behind = clients.filter(({ ready }) => !ready).map(({ name, found }) => `${name} ${found}`);
  if (behind.length === 0) return;
  throw new LatchkeyError('clients_behind', `some clients do not know the new authority: ${behind.join(', ')}`, {
    exit: 3,
    hint: `wait until they have renewed, or use --force: ${why}, and have to be enrolled again or given ca.pem by hand`,
  });
}

function notBegun(): LatchkeyError {
  return new LatchkeyError('rollover_not_begun', 'no authority is being replaced', {
    exit: 3,
    hint: 'keyserver cert rollover begin',
  });
}

import type { Kysely, Selectable } from 'kysely';
import { constantTimeEqual } from '../platform/encoding.ts';
import { statement } from '../platform/statement.ts';
import type { Standing } from './chain.ts';
import { type Client, clientFromRow } from './client.ts';
import type { ClientTable, Database, LinkTable, PulseTable } from './schema.ts';

/** What the store knows of a caller at the moment of judging. */
export interface CaseFile {
  /** `null` for a client nobody enrolled. */
  readonly client: Client | null;
  readonly lastTime: number;
  readonly totpStep: number;
  readonly bootId: string | null;
  readonly source: string | null;
  readonly fingerprint: string | null;
  readonly releasedAt: number | null;
  /** The global kill switch. */
  readonly killed: boolean;
}

/** A link as the store has it. */
export interface LinkOnFile {
  readonly standing: Standing;
  /** `null` when the link is unknown. */
  readonly hash: Uint8Array | null;
}

type CaseRow = Selectable<ClientTable> & Omit<Selectable<PulseTable>, 'client_id'>;

const caseRow = statement<Database, [client: string], CaseRow>((db, slot) =>
  db
    .selectFrom('client')
    .innerJoin('pulse', 'pulse.client_id', 'client.id')
    .selectAll('client')
    .select(['last_time', 'totp_step', 'boot_id', 'source', 'fingerprint', 'heard_at', 'released_at'])
    .where('client.id', '=', slot<string>(0)),
);

const switchRow = statement<Database, [name: 'kill'], { since: number }>((db, slot) =>
  db.selectFrom('switch').select('since').where('name', '=', slot<'kill'>(0)),
);

const liveLink = statement<Database, [client: string, id: string], Pick<Selectable<LinkTable>, 'state' | 'hash'>>(
  (db, slot) =>
    db
      .selectFrom('link')
      .select(['state', 'hash'])
      .where('client_id', '=', slot<string>(0))
      .where('link_id', '=', slot<string>(1)),
);

const spentLink = statement<Database, [client: string, id: string], { hash: Uint8Array }>((db, slot) =>
  db
    .selectFrom('spent_link')
    .select('hash')
    .where('client_id', '=', slot<string>(0))
    .where('link_id', '=', slot<string>(1)),
);

/** Everything the gates need of a client, read in the caller's transaction. */
export async function readCase(tx: Kysely<Database>, client: string): Promise<CaseFile> {
  const row = (await tx.executeQuery(caseRow(tx, client))).rows[0];
  const killed = (await tx.executeQuery(switchRow(tx, 'kill'))).rows.length > 0;
  return {
    client: row === undefined ? null : clientFromRow(row),
    lastTime: row?.last_time ?? 0,
    totpStep: row?.totp_step ?? 0,
    bootId: row?.boot_id ?? null,
    source: row?.source ?? null,
    fingerprint: row?.fingerprint ?? null,
    releasedAt: row?.released_at ?? null,
    killed,
  };
}

/** Where the link of that id stands with this client. */
export async function findLink(tx: Kysely<Database>, client: string, id: string): Promise<LinkOnFile> {
  const live = (await tx.executeQuery(liveLink(tx, client, id))).rows[0];
  if (live !== undefined) return { standing: live.state, hash: live.hash };
  const spent = (await tx.executeQuery(spentLink(tx, client, id))).rows[0];
  return spent === undefined ? { standing: 'unknown', hash: null } : { standing: 'spent', hash: spent.hash };
}

/** Where exactly this link stands: one that only shares its id with a known one is unknown. */
export async function findStanding(
  tx: Kysely<Database>,
  client: string,
  link: { readonly id: string; readonly hash: Uint8Array },
): Promise<Standing> {
  const found = await findLink(tx, client, link.id);
  return found.hash !== null && constantTimeEqual(found.hash, link.hash) ? found.standing : 'unknown';
}

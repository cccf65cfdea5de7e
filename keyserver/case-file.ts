import type { Kysely, Selectable } from 'kysely';
import { statement } from '../platform/statement.ts';
import type { ChainCounters } from './chain.ts';
import { type Client, clientFromRow } from './client.ts';
import type { ClientTable, Database, PulseTable } from './schema.ts';

/** What the store knows of a caller at the moment of judging. */
export interface CaseFile {
  /** `null` for a client nobody enrolled. */
  readonly client: Client | null;
  readonly chain: ChainCounters;
  readonly lastTime: number;
  readonly totpStep: number;
  readonly bootId: string | null;
  readonly source: string | null;
  readonly fingerprint: string | null;
  readonly releasedAt: number | null;
  /** The global kill switch. */
  readonly killed: boolean;
}

type CaseRow = Selectable<ClientTable> & Omit<Selectable<PulseTable>, 'client_id'>;

const caseRow = statement<Database, [client: string], CaseRow>((db, slot) =>
  db
    .selectFrom('client')
    .innerJoin('pulse', 'pulse.client_id', 'client.id')
    .selectAll('client')
    .select(['last_time', 'totp_step', 'issued', 'confirmed', 'spent_to'])
    .select(['boot_id', 'source', 'fingerprint', 'heard_at', 'released_at'])
    .where('client.id', '=', slot<string>(0)),
);

const switchRow = statement<Database, [name: 'kill'], { since: number }>((db, slot) =>
  db.selectFrom('switch').select('since').where('name', '=', slot<'kill'>(0)),
);

/** Everything the gates need of a client, read in the caller's transaction. */
export async function readCase(tx: Kysely<Database>, client: string): Promise<CaseFile> {
  const row = (await tx.executeQuery(caseRow(tx, client))).rows[0];
  const killed = (await tx.executeQuery(switchRow(tx, 'kill'))).rows.length > 0;
  return {
    client: row === undefined ? null : clientFromRow(row),
    chain: { issued: row?.issued ?? 0, confirmed: row?.confirmed ?? 0, spentTo: row?.spent_to ?? 0 },
    lastTime: row?.last_time ?? 0,
    totpStep: row?.totp_step ?? 0,
    bootId: row?.boot_id ?? null,
    source: row?.source ?? null,
    fingerprint: row?.fingerprint ?? null,
    releasedAt: row?.released_at ?? null,
    killed,
  };
}

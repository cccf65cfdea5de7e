import { type Kysely, type Selectable, sql } from 'kysely';
import { type AuditPlace, genesisHash } from '../platform/audit-chain.ts';
import { constantTimeEqual } from '../platform/encoding.ts';
import { statement } from '../platform/statement.ts';
import { standingOf } from './chain.ts';
import { type Client, clientFromRow } from './client.ts';
import { killedSince } from './kill-switch.ts';
import type { Link } from './link.ts';
import { type LinkOnFile, unknownLink } from './link-store.ts';
import { type Pulse, type PulseColumns, pulseColumns, pulseFromRow, stillPulse } from './pulse.ts';
import type { ClientTable, Database } from './schema.ts';

/** What the store knows of a caller at the moment of judging. */
export interface CaseFile {
  /** `null` for a client nobody enrolled. */
  readonly client: Client | null;
  readonly pulse: Pulse;
  /** Where the link that came with the call stands; unknown as well when only its place is right. */
  readonly link: LinkOnFile;
  /** The global kill switch. */
  readonly killed: boolean;
  /** The last audit record before this call's. */
  readonly head: AuditPlace;
}

type CaseRow = Selectable<ClientTable> &
  PulseColumns & {
    readonly link_hash: Uint8Array | null;
    readonly link_number: number | null;
    readonly kill_since: number | null;
    readonly head_seq: number | null;
    readonly head_hash: Uint8Array | null;
  };

/** One query for everything: each of its own would cost as much as this. */
const caseRow = statement<Database, [client: string, place: Uint8Array], CaseRow>((db, slot) =>
  db
    .selectFrom('client')
    .innerJoin('pulse', 'pulse.client_id', 'client.id')
    .leftJoin('link', (join) =>
      join.onRef('link.client_id', '=', 'client.id').on('link.place', '=', slot<Uint8Array>(1)),
    )
    .leftJoin('switch', (join) => join.on('switch.name', '=', sql.lit('kill')))
    .leftJoin('audit', (join) =>
      join.on('audit.seq', '=', (eb) => eb.selectFrom('audit').select((e) => e.fn.max('seq').as('last'))),
    )
    .selectAll('client')
    .select(pulseColumns)
    .select(['link.hash as link_hash', 'link.number as link_number', 'switch.since as kill_since'])
    .select(['audit.seq as head_seq', 'audit.hash as head_hash'])
    .where('client.id', '=', slot<string>(0)),
);

const noPlace = new Uint8Array(0);

/** Everything the gates need of a client, read in the caller's transaction; `shown` is the link that came with the call. */
export async function readCase(tx: Kysely<Database>, client: string, shown: Link | null): Promise<CaseFile> {
  const row = (await caseRow(tx, client, shown?.place ?? noPlace))[0];
  if (row === undefined) return { ...stranger, killed: (await killedSince(tx)) !== null };
  const pulse = pulseFromRow(row);
  return {
    client: clientFromRow(row),
    pulse,
    link: linkOf(row, shown, pulse),
    killed: row.kill_since !== null,
    head: { seq: row.head_seq ?? 0, hash: row.head_hash ?? genesisHash },
  };
}

const stranger: CaseFile = {
  client: null,
  pulse: stillPulse,
  link: unknownLink,
  killed: false,
  head: { seq: 0, hash: genesisHash },
};

function linkOf(row: CaseRow, shown: Link | null, pulse: Pulse): LinkOnFile {
  const { link_hash: hash, link_number: number } = row;
  if (shown === null || hash === null || !constantTimeEqual(hash, shown.hash)) return unknownLink;
  return { standing: standingOf(number, pulse.chain), number, hash };
}

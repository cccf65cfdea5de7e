import { type Kysely, type Selectable, sql } from 'kysely';
import { type AuditPlace, genesisHash } from '../platform/audit-chain.ts';
import { constantTimeEqual } from '../platform/encoding.ts';
import { statement } from '../platform/statement.ts';
import { standingOf } from './chain.ts';
import { type Client, clientFromRow } from './clients/client.ts';
import type { CertificateOnFile } from './gate.ts';
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
  /** What is on file under the serial of the certificate that was shown. */
  readonly certificate: CertificateOnFile | null;
  /** The global kill switch. */
  readonly killed: boolean;
  /** The last audit record before this call's. */
  readonly head: AuditPlace;
}

type CaseRow = Selectable<ClientTable> &
  PulseColumns & {
    readonly link_hash: Uint8Array | null;
    readonly link_number: number | null;
    readonly shown_client: string | null;
    readonly shown_purpose: CertificateOnFile['purpose'] | null;
    readonly shown_digest: Uint8Array | null;
    readonly shown_revoked_at: number | null;
    readonly shown_used_at: number | null;
    readonly kill_since: number | null;
    readonly head_seq: number | null;
    readonly head_hash: Uint8Array | null;
  };

/** One query for everything: each of its own would cost as much as this. */
const caseRow = statement<Database, [client: string, place: Uint8Array, serial: string], CaseRow>((db, slot) =>
  db
    .selectFrom('client')
    .innerJoin('pulse', 'pulse.client_id', 'client.id')
    .leftJoin('link', (join) =>
      join.onRef('link.client_id', '=', 'client.id').on('link.place', '=', slot<Uint8Array>(1)),
    )
    .leftJoin('certificate', (join) => join.on('certificate.serial', '=', slot<string>(2)))
    .leftJoin('switch', (join) => join.on('switch.name', '=', sql.lit('kill')))
    .leftJoin('audit', (join) =>
      join.on('audit.seq', '=', (eb) => eb.selectFrom('audit').select((e) => e.fn.max('seq').as('last'))),
    )
    .selectAll('client')
    .select(pulseColumns)
    .select(['link.hash as link_hash', 'link.number as link_number', 'switch.since as kill_since'])
    .select([
      'certificate.client_id as shown_client',
      'certificate.purpose as shown_purpose',
      'certificate.digest as shown_digest',
      'certificate.revoked_at as shown_revoked_at',
      'certificate.used_at as shown_used_at',
    ])
    .select(['audit.seq as head_seq', 'audit.hash as head_hash'])
    .where('client.id', '=', slot<string>(0)),
);

const noPlace = new Uint8Array(0);

/**
 * Everything the gates need of a client, read in the caller's transaction; `shown` is the link that came with the call,
 * `serial` that of the certificate its connection showed.
 */
export async function readCase(
  tx: Kysely<Database>,
  client: string,
  shown: Link | null,
  serial: string | null,
): Promise<CaseFile> {
  const row = (await caseRow(tx, client, shown?.place ?? noPlace, serial ?? ''))[0];
  if (row === undefined) return { ...stranger, killed: (await killedSince(tx)) !== null };
  const pulse = pulseFromRow(row);
  return {
    client: clientFromRow(row),
    pulse,
    link: linkOf(row, shown, pulse),
    certificate: certificateOf(row),
    killed: row.kill_since !== null,
    head: { seq: row.head_seq ?? 0, hash: row.head_hash ?? genesisHash },
  };
}

const stranger: CaseFile = {
  client: null,
  pulse: stillPulse,
  link: unknownLink,
  certificate: null,
  killed: false,
  head: { seq: 0, hash: genesisHash },
};

function linkOf(row: CaseRow, shown: Link | null, pulse: Pulse): LinkOnFile {
  const { link_hash: hash, link_number: number } = row;
  if (shown === null || hash === null || !constantTimeEqual(hash, shown.hash)) return unknownLink;
  return { standing: standingOf(number, pulse.chain), number, hash };
}

function certificateOf(row: CaseRow): CertificateOnFile | null {
  if (row.shown_purpose === null || row.shown_digest === null) return null;
  return {
    client: row.shown_client,
    purpose: row.shown_purpose,
    digest: row.shown_digest,
    revokedAt: row.shown_revoked_at,
    usedAt: row.shown_used_at,
  };
}

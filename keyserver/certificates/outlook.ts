import type { Kysely } from 'kysely';
import type { Database } from '../schema.ts';
import { liveCertificates } from './records.ts';

const day = 86_400_000;

/** With less left something should have replaced it: a renewal, the server itself, a person. */
const warnBelow = { ca: 180, server: 14, client: 7, admin: 30 } as const;

/** A certificate somebody depends on. */
export interface Outlook {
  readonly purpose: 'ca' | 'server' | 'client' | 'admin';
  /** Clients: the client; administrators: whose it is. */
  readonly client: { readonly id: string; readonly name: string } | null;
  readonly name: string;
  /** `null` for a client that has to show a certificate and has none that holds. */
  readonly serial: string | null;
  /** Milliseconds since 1970. */
  readonly endsAt: number | null;
  /** Whole days, negative when it has ended. */
  readonly daysLeft: number | null;
  readonly verdict: 'ok' | 'soon' | 'ended';
}

/** How long the certificates in use go on: of each client the one that lasts longest. */
export async function certificateOutlook(tx: Kysely<Database>, now: number): Promise<Outlook[]> {
  const found: Outlook[] = [];
  for (const purpose of ['ca', 'server', 'admin'] as const) {
    for (const row of await liveCertificates(tx, purpose)) {
      found.push(outlookOf(purpose, null, row.name ?? '', row.serial, row.not_after, now));
    }
  }
  const clients = await tx
    .selectFrom('client')
    .select(['id', 'name', 'certificate_policy', 'certificate_since'])
    .where('state', '=', 'enrolled')
    .where('certificate_policy', '!=', 'off')
    .orderBy('name')
    .execute();
  const rows = await liveCertificates(tx, 'client');
  for (const { id, name, certificate_policy: policy, certificate_since: since } of clients) {
    if (policy === 'auto' && since === null) continue;
    const own = rows.filter((row) => row.client_id === id).sort((a, b) => b.not_after - a.not_after)[0];
    found.push(outlookOf('client', { id, name }, name, own?.serial ?? null, own?.not_after ?? null, now));
  }
  return found;
}

function outlookOf(
  purpose: Outlook['purpose'],
  client: Outlook['client'],
  name: string,
  serial: string | null,
  endsAt: number | null,
  now: number,
): Outlook {
  const daysLeft = endsAt === null ? null : Math.floor((endsAt - now) / day);
  const verdict = daysLeft === null || daysLeft < 0 ? 'ended' : daysLeft < warnBelow[purpose] ? 'soon' : 'ok';
  return { purpose, client, name, serial, endsAt, daysLeft, verdict };
}

/** Of each purpose the fewest days left. */
export function fewestDays(outlook: readonly Outlook[]): ReadonlyMap<Outlook['purpose'], number> {
  const days = new Map<Outlook['purpose'], number>();
  for (const { purpose, daysLeft } of outlook) {
    days.set(purpose, Math.min(days.get(purpose) ?? Number.POSITIVE_INFINITY, daysLeft ?? -1));
  }
  return days;
}

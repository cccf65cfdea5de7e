import { join } from 'node:path';
import { readAudit } from '../../platform/audit-chain.ts';
import type { Clock, RandomBytes } from '../../platform/clock.ts';
import { sha256 } from '../../platform/encoding.ts';
import { networksFor } from '../../platform/listening/networks.ts';
import { addClient, type Invitation } from '../clients/client-admin.ts';
import type { Answer } from './call.ts';
import type { Host } from './client.ts';
import type { ThrowAwayServer } from './throw-away-server.ts';

/** The name of the client that is played with. */
export const clientName = 'cloud';

/** What all scenes have. */
export interface Walk {
  readonly server: ThrowAwayServer;
  readonly clock: Clock;
  readonly random: RandomBytes;
}

/** A record of the audit log, as far as the walk-through shows it. */
export interface AuditLine {
  readonly seq: number;
  readonly event: string;
  readonly source?: string;
  readonly keys?: readonly string[];
  readonly reason?: string;
  readonly verdicts?: Readonly<Record<string, string>>;
  readonly detail?: Readonly<Record<string, unknown>>;
}

export function invite({ server, clock, random }: Walk): Promise<Invitation> {
  const networks = networksFor(undefined, server.data.config.listen.host);
  const wanted = { name: clientName, networks, basic: false, escrow: true };
  return server.data.store.transaction((tx) => addClient(tx, wanted, clock.now(), random));
}

export function hostFor({ server, clock }: Walk, file: string): Host {
  return {
    url: server.url,
    ca: server.data.ca,
    linkFile: join(server.folder, file),
    fingerprint: sha256('latchkey walk-through').toString('hex'),
    bootId: '5f0c1f5e-0000-4000-8000-000000000001',
    clock,
  };
}

export async function lastRecords({ server }: Walk, count: number): Promise<AuditLine[]> {
  const rows = await server.data.store.read(async (tx) => readAudit(tx, 0, 1000));
  return rows.slice(-count).map((row) => JSON.parse(row.body) as AuditLine);
}

export async function findRecord(walk: Walk, event: string): Promise<AuditLine | undefined> {
  return (await lastRecords(walk, 1000)).find((record) => record.event === event);
}

/** Everything that moves with a client's messages, for telling whether anything did. */
export function chainState({ server }: Walk): Promise<string> {
  return server.data.store.read(async (tx) =>
    JSON.stringify([
      await tx.selectFrom('link').selectAll().execute(),
      await tx.selectFrom('pulse').selectAll().execute(),
    ]),
  );
}

export function recordText({ event, reason, detail, keys, source }: AuditLine): string {
  const gate = detail?.gate === undefined ? '' : ` by gate ${String(detail.gate)}`;
  const why = reason === undefined ? '' : ` (${reason})`;
  const what = keys === undefined ? '' : ` ${keys.join(', ')}`;
  return `${event}${gate}${why}${what}${source === undefined ? '' : ` from ${source}`}`;
}

export function answerText({ status, body }: Answer): string {
  return `${status} ${String(body.code ?? '')}`.trimEnd();
}

export function answerData({ status, body }: Answer): Record<string, unknown> {
  return { status, code: body.code ?? null, ...(body.reason !== undefined && { reason: body.reason }) };
}

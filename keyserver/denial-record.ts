import { appendAudit } from '../platform/audit-chain.ts';
import type { Alert } from './alerts/alert.ts';
import { raiseAlert } from './alerts/raise.ts';
import type { Custody } from './custody.ts';
import type { CallKind } from './gate.ts';

/** A refusal on its way to the audit log. */
export interface DenialRecord {
  readonly now: number;
  readonly event: string;
  readonly code: string;
  readonly source: string;
  readonly client: string | null;
  readonly call: CallKind | 'enroll';
  readonly gate?: string;
  readonly reason?: string | null;
  /** Told to the owner with the record. */
  readonly alert?: Alert;
}

/** Records the first refusal of its sort; those that follow are counted. */
export async function recordDenial(custody: Custody, denial: DenialRecord): Promise<void> {
  const { now, event, code, source, client } = denial;
  const who = client === null ? {} : { client };
  const why = denial.reason === undefined || denial.reason === null ? {} : { reason: denial.reason };
  if (!custody.denials.note({ event, code, source, ...who, ...why }, now)) return;
  const detail = { call: denial.call, code, ...(denial.gate === undefined ? {} : { gate: denial.gate }) };
  const { alert } = denial;
  await custody.store.transaction(async (tx) => {
    await appendAudit(tx, { time: now, event, source, ...who, ...why, detail });
    if (alert !== undefined) await raiseAlert(tx, alert, now);
  });
}

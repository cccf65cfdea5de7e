import type { Kysely, Selectable } from 'kysely';
import { statement } from '../platform/statement.ts';
import type { ChainCounters } from './chain.ts';
import type { KnownFingerprints } from './policy/known-machine.ts';
import { absenceFrom, absenceText, type Presence } from './presence/absence.ts';
import type { Database, PulseTable } from './schema.ts';

/** What moves with a client's messages; one row, read with the case and written back whole. */
export interface Pulse extends Presence {
  /** The `time` of the last message judged; 0 before the first. */
  readonly lastTime: number;
  readonly chain: ChainCounters;
  /** The `time` of the message that confirmed the confirmed link. */
  readonly confirmedAt: number;
  /** Place of the newest link issued. */
  readonly newest: Uint8Array | null;
  /** The last TOTP step accepted by the basic profile. */
  readonly totpStep: number;
  /** Where the last accepted message came from. */
  readonly source: string | null;
  /** Of the last release. */
  readonly fingerprint: string | null;
  readonly heardAt: number | null;
  readonly releasedAt: number | null;
  /** Of the last release since enrolment; `none` when it had none, `null` before the first. */
  readonly releasedBootId: string | null;
  /** The enrolled ones. */
  readonly fingerprints: KnownFingerprints;
  /** As `habitsText` spells them; few calls look at them. */
  readonly habits: string | null;
}

/** The pulse of a client that was never heard. */
export const stillPulse: Pulse = {
  lastTime: 0,
  chain: { issued: 0, confirmed: 0, spentTo: 0 },
  confirmedAt: 0,
  newest: null,
  totpStep: 0,
  bootId: null,
  source: null,
  fingerprint: null,
  heardAt: null,
  releasedAt: null,
  settledAt: null,
  presentAt: null,
  absence: null,
  releasedBootId: null,
  fingerprints: { web: null, command: null },
  habits: null,
};

/** The columns of `pulse` that a pulse is. */
export const pulseColumns = [
  'last_time',
  'issued',
  'confirmed',
  'spent_to',
  'confirmed_at',
  'newest',
  'totp_step',
  'boot_id',
  'source',
  'fingerprint',
  'heard_at',
  'released_at',
  'settled_at',
  'present_at',
  'absence',
  'released_boot_id',
  'web_fingerprint',
  'command_fingerprint',
  'habits',
] as const satisfies readonly (keyof PulseTable)[];

export type PulseColumns = Pick<Selectable<PulseTable>, (typeof pulseColumns)[number]>;

export function pulseFromRow(row: PulseColumns): Pulse {
  return {
    lastTime: row.last_time,
    chain: { issued: row.issued, confirmed: row.confirmed, spentTo: row.spent_to },
    confirmedAt: row.confirmed_at,
    newest: row.newest,
    totpStep: row.totp_step,
    bootId: row.boot_id,
    source: row.source,
    fingerprint: row.fingerprint,
    heardAt: row.heard_at,
    releasedAt: row.released_at,
    settledAt: row.settled_at,
    presentAt: row.present_at,
    absence: absenceFrom(row.absence),
    releasedBootId: row.released_boot_id,
    fingerprints: { web: row.web_fingerprint, command: row.command_fingerprint },
    habits: row.habits,
  };
}

/** In the order of `pulseColumns`. */
type PulseValues = [
  lastTime: number,
  issued: number,
  confirmed: number,
  spentTo: number,
  confirmedAt: number,
  newest: Uint8Array | null,
  totpStep: number,
  bootId: string | null,
  source: string | null,
  fingerprint: string | null,
  heardAt: number | null,
  releasedAt: number | null,
  settledAt: number | null,
  presentAt: number | null,
  absence: string | null,
  releasedBootId: string | null,
  webFingerprint: string | null,
  commandFingerprint: string | null,
  habits: string | null,
];

const writePulse = statement<Database, [...PulseValues, client: string]>((db, slot) =>
  db
    .updateTable('pulse')
    .set(Object.fromEntries(pulseColumns.map((column, index) => [column, slot(index)])))
    .where('client_id', '=', slot<string>(pulseColumns.length)),
);

/** Writes a client's pulse back, in the transaction that read it. */
export async function savePulse(tx: Kysely<Database>, client: string, pulse: Pulse): Promise<void> {
  const { chain } = pulse;
  await writePulse(
    tx,
    pulse.lastTime,
    chain.issued,
    chain.confirmed,
    chain.spentTo,
    pulse.confirmedAt,
    pulse.newest,
    pulse.totpStep,
    pulse.bootId,
    pulse.source,
    pulse.fingerprint,
    pulse.heardAt,
    pulse.releasedAt,
    pulse.settledAt,
    pulse.presentAt,
    absenceText(pulse.absence),
    pulse.releasedBootId,
    pulse.fingerprints.web,
    pulse.fingerprints.command,
    pulse.habits,
    client,
  );
}

/** A client that was enrolled anew has yet to be got to know. */
export function pulseOfNew(pulse: Pulse): Pulse {
  const { settledAt, presentAt, absence, releasedBootId, fingerprints, habits } = stillPulse;
  return { ...pulse, settledAt, presentAt, absence, releasedBootId, fingerprints, habits };
}

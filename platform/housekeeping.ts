import type { KeyObject } from 'node:crypto';
import type { AuditTables } from './audit-chain.ts';
import { appendAudit, signAudit } from './audit-chain.ts';
import type { Clock } from './clock.ts';
import type { DenialLog } from './denials.ts';
import type { Log } from './log.ts';
import type { Store } from './store.ts';

const minute = 60_000;
const hour = 3_600_000;

/** What of a server is kept in order. */
export interface Household<DB extends AuditTables> {
  readonly store: Store<DB>;
  readonly clock: Clock;
  readonly log: Log;
  readonly denials: DenialLog;
}

export interface Housekeeping {
  /** Writes what is still only counted, signs the audit log, and ends. */
  stop(): Promise<void>;
}

/**
 * What a running server does by itself: counted refusals go to the audit log each minute, the log is signed at the
 * start, each hour and at the end. A failure is logged and tried again; it stops nothing.
 */
export function startHousekeeping<DB extends AuditTables>(house: Household<DB>, auditKey: KeyObject): Housekeeping {
  const attempt = async (what: string, work: () => Promise<unknown>): Promise<void> => {
    try {
      await work();
    } catch (cause) {
      const { name, message } = cause as Error;
      house.log.error({ name, message }, what);
    }
  };
  const record = (everything: boolean) => recordDenials(house, everything);
  const sign = () => house.store.transaction((tx) => signAudit(tx, house.clock.now(), auditKey));
  let signedAt = house.clock.now();
  const timers = [
    setInterval(() => void attempt('refusals were not recorded', () => record(false)), minute),
    // by the wall clock: timers stand still while the machine sleeps
    setInterval(() => {
      const now = house.clock.now();
      if (Math.abs(now - signedAt) < hour) return;
      signedAt = now;
      void attempt('audit log was not signed', sign);
    }, minute),
  ];
  for (const timer of timers) timer.unref();
  const first = attempt('audit log was not signed', sign); // what commands wrote while no server ran
  return {
    stop: async () => {
      for (const timer of timers) clearInterval(timer);
      await first;
      await attempt('refusals were not recorded', () => record(true));
      await attempt('audit log was not signed', sign);
    },
  };
}

/** The entries are taken before the transaction: it may run twice, and taking them empties the book. */
async function recordDenials<DB extends AuditTables>(house: Household<DB>, everything: boolean): Promise<void> {
  const entries = house.denials.take(house.clock.now(), everything);
  if (entries.length === 0) return;
  await house.store.transaction(async (tx) => {
    for (const entry of entries) await appendAudit(tx, entry);
  });
}

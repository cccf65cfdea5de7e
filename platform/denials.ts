import type { AuditEntry } from './audit-chain.ts';

/** How long repeated refusals of one sort are only counted, ms. */
export const denialWindow = 60_000;

/** So many sorts are told apart at once; what comes on top is counted together. */
const sortLimit = 1_000;

export interface Denial {
  /** `request_denied`, or another event that can repeat without end. */
  readonly event: string;
  /** Only of a client that exists: made-up ids are counted together, or each would buy a row. */
  readonly client?: string;
  readonly source?: string;
  readonly code: string;
  /** Which of several causes one code stands for; a few fixed words. */
  readonly reason?: string;
}

interface Window {
  readonly denial: Denial;
  readonly since: number;
  count: number;
  until: number;
}

/**
 * Keeps a flood of refusals from flooding the audit log. The first of a sort (event, client, source, code,
 * reason) is told to be
 * recorded at once; the ones that follow within a minute are counted and come as one record, `denials_counted`, when the
 * minute is over or the server stops. A crash loses at most that minute's counts, never the first record of a sort.
 */
export class DenialLog {
  readonly #windows: Map<string, Window> = new Map();
  readonly #limit: number;

  constructor(limit = sortLimit) {
    this.#limit = limit;
  }

  /** True when this denial is the first of its sort and has to be recorded by the caller. */
  note(denial: Denial, now: number): boolean {
    const { event, client, source, code, reason } = denial;
    const sort = JSON.stringify([event, client ?? null, source ?? null, code, reason ?? null]);
    const window = this.#windows.get(sort);
    if (window !== undefined) {
      window.count += 1;
      window.until = now;
      return false;
    }
    if (this.#windows.size < this.#limit) {
      this.#windows.set(sort, { denial, since: now, count: 0, until: now });
      return true;
    }
    const rest = this.#windows.get('') ?? {
      denial: { event: 'others', code: 'others' },
      since: now,
      count: 0,
      until: now,
    };
    rest.count += 1;
    rest.until = now;
    this.#windows.set('', rest);
    return false;
  }

  /** The records now due, and forgets their windows; `everything` ends all windows, for a stop. */
  take(now: number, everything = false): AuditEntry[] {
    const due: AuditEntry[] = [];
    for (const [sort, { denial, since, count, until }] of this.#windows) {
      if (!everything && Math.abs(now - since) < denialWindow) continue;
      this.#windows.delete(sort);
      if (count === 0) continue;
      due.push({
        time: now,
        event: 'denials_counted',
        ...(denial.client === undefined ? {} : { client: denial.client }),
        ...(denial.source === undefined ? {} : { source: denial.source }),
        reason: denial.reason ?? denial.code,
        detail: { of: denial.event, code: denial.code, count, since, until },
      });
    }
    return due;
  }
}

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Kysely } from 'kysely';
import type { Store } from '../../platform/store.ts';
import type { Database } from '../schema.ts';

/** What happened to one client in a stretch of time, as the audit log tells it. */
export interface Counts {
  readonly releases: number;
  readonly denials: number;
  readonly forks: number;
}

/** The finest stretch that is told apart, ms. */
export const stretch = 900_000;

/** How far back it goes, ms. */
export const reach = 30 * 86_400_000;

/** Read in one go; releases are answered between two goes. */
const batch = 500;

/** A page waits for so many records to be read, and shows what is there when there are more. */
const patience = 20_000;

interface Line {
  readonly time: number;
  readonly event: string;
  readonly client?: string;
  readonly detail?: { readonly of?: string; readonly code?: string; readonly count?: number };
}

/**
 * What the audit log says of the last 30 days, counted by client and quarter of an hour. The log has no index by time, and
 * a page must not read a million records: each is read once in the life of the process, the first time from where 30 days
 * ago stands in the log (found by halving: records stand in the order of their numbers, and all but in that of their
 * times), later on only what is new.
 */
export class Timeline {
  readonly #store: Store<Database>;
  readonly #clients: Map<string, Map<number, Counts>> = new Map();
  #cursor: number | null = null;
  #since = 0;
  #reading: Promise<void> | null = null;
  #forgotAt = 0;

  constructor(store: Store<Database>) {
    this.#store = store;
  }

  /** Reads what is new; `false` when there is so much of it that the rest is read behind the page's back. */
  async catchUp(now: number): Promise<boolean> {
    this.#cursor ??= await this.#store.read((tx) => seqBefore(tx, now - reach));
    this.#since = now - reach;
    this.#forget(now);
    for (let read = 0; read < patience && this.#reading === null; read += batch) {
      if (!(await this.#readOn())) return true;
    }
    this.#reading ??= this.#readToEnd().finally(() => {
      this.#reading = null;
    });
    return false;
  }

  /** A client's counts by stretch: `Math.floor(time / stretch)`. */
  countsOf(client: string): ReadonlyMap<number, Counts> {
    return this.#clients.get(client) ?? new Map();
  }

  /** Resolves when nothing is being read any more. */
  async settled(): Promise<void> {
    await this.#reading;
  }

  async #readToEnd(): Promise<void> {
    try {
      while (await this.#readOn()) await nextTurn();
    } catch {
      // the next page tries again, and tells what is wrong when it still is
    }
  }

  /** Reads one batch; `false` when it was the last. */
  async #readOn(): Promise<boolean> {
    const after = this.#cursor ?? 0;
    const rows = await this.#store.read((tx) =>
      tx.selectFrom('audit').select(['seq', 'body']).where('seq', '>', after).orderBy('seq').limit(batch).execute(),
    );
    if (this.#cursor !== after) return true; // another page was faster
    this.#cursor = rows.at(-1)?.seq ?? after;
    for (const { body } of rows) this.#count(JSON.parse(body) as Line);
    return rows.length === batch;
  }

  #count({ time, event, client, detail }: Line): void {
    if (client === undefined || time < this.#since) return;
    if (detail?.code === 'approval_pending') return; // held, and told by the approvals
    if (event === 'key_released') this.#add(client, time, { releases: 1 });
    else if (event === 'request_denied') this.#add(client, time, { denials: 1 });
    else if (event === 'denials_counted' && detail?.of === 'request_denied') {
      this.#add(client, time, { denials: detail.count ?? 0 });
    } else if (event === 'fork_detected') this.#add(client, time, { forks: 1 });
  }

  #add(client: string, time: number, more: Partial<Counts>): void {
    const counts = this.#clients.get(client) ?? new Map<number, Counts>();
    this.#clients.set(client, counts);
    const index = Math.floor(time / stretch);
    counts.set(index, sum(counts.get(index) ?? none, { ...none, ...more }));
  }

  /** Drops what is older than the reach, once a day. */
  #forget(now: number): void {
    if (Math.abs(now - this.#forgotAt) < 86_400_000) return;
    this.#forgotAt = now;
    const oldest = Math.floor((now - reach) / stretch) - 1;
    for (const [client, counts] of this.#clients) {
      for (const index of counts.keys()) if (index < oldest) counts.delete(index);
      if (counts.size === 0) this.#clients.delete(client);
    }
  }
}

export const none: Counts = { releases: 0, denials: 0, forks: 0 };

export function sum(a: Counts, b: Counts): Counts {
  return { releases: a.releases + b.releases, denials: a.denials + b.denials, forks: a.forks + b.forks };
}

/** The number of the last record before `time`, found in twenty looks at a million records. */
async function seqBefore(tx: Kysely<Database>, time: number): Promise<number> {
  const last = await tx.selectFrom('audit').select('seq').orderBy('seq', 'desc').limit(1).executeTakeFirst();
  let low = 0;
  let high = last?.seq ?? 0;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    const row = await tx.selectFrom('audit').select('body').where('seq', '=', middle).executeTakeFirst();
    const isBefore = row === undefined || (JSON.parse(row.body) as Line).time < time;
    if (isBefore) low = middle;
    else high = middle - 1;
  }
  return low;
}

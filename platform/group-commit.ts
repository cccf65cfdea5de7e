import { LatchkeyError } from './errors.ts';

/** Transactions that share one commit at the most, so that none waits long for the others. */
const maxGroup = 128;

interface Job<Tx> {
  readonly work: (tx: Tx) => Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** How a database runs one transaction at a time. */
export interface Committer<Tx> {
  /** Resolves when all that `work` did is on disk, and rejects when nothing of it is, or nobody can tell. May call `work` again. */
  commit(work: (tx: Tx) => Promise<void>): Promise<void>;
  /** True for an error that is everybody's who shared the transaction: running each by itself would not help, or do harm. */
  isForAll(error: unknown): boolean;
}

/**
 * Transactions that wait at the same moment are committed together: one sync for all of them (group commit), in the
 * order they came. Each promise resolves after that sync. A job that throws undoes the group, and every job of it is
 * then run by itself.
 */
export class GroupCommit<Tx> {
  readonly #committer: Committer<Tx>;
  #waiting: Job<Tx>[] = [];
  #running: Promise<void> | null = null;
  #closed = false;

  constructor(committer: Committer<Tx>) {
    this.#committer = committer;
  }

  /** Rejects with `store_closed` after `close`. */
  transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(new LatchkeyError('store_closed', 'the store is closed', { status: 503 }));
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ work, resolve: resolve as (value: unknown) => void, reject });
      // after the poll phase, so that requests that arrived together are committed together
      this.#running ??= new Promise((done) => setImmediate(() => void this.#drain().finally(done)));
    });
  }

  /** Takes nothing new and waits for what was taken. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
  }

  async #drain(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        const group = this.#waiting.splice(0, maxGroup);
        if (await this.#commit(group)) continue;
        for (const job of group) await this.#commit([job]);
      }
    } finally {
      this.#running = null;
    }
  }

  /** Runs the jobs in one transaction. False: one of several failed, nothing happened, run them one by one. */
  async #commit(group: readonly Job<Tx>[]): Promise<boolean> {
    let results: unknown[] = [];
    try {
      await this.#committer.commit(async (tx) => {
        results = [];
        for (const job of group) results.push(await job.work(tx));
      });
    } catch (error) {
      if (group.length > 1 && !this.#committer.isForAll(error)) return false;
      for (const job of group) job.reject(error);
      return true;
    }
    group.forEach((job, index) => {
      job.resolve(results[index]);
    });
    return true;
  }
}

import { recordLapses } from '../approvals/record.ts';
import type { Custody } from '../custody.ts';
import type { Gap } from './absence.ts';
import { keepMark, markEvery } from './own-time.ts';

export interface OwnWatch {
  /** Makes a last mark, and ends. */
  stop(): Promise<void>;
}

/**
 * Notes twice a minute that the server is there, as long as `isConnected` says that the network is, and tells of
 * approvals that ran out. Marks that could not be written are made up for with the next one.
 */
export function startOwnWatch(custody: Custody, isConnected: () => Promise<boolean>): OwnWatch {
  const unwritten: Gap[] = [];
  const mark = async (): Promise<void> => {
    const now = custody.clock.now();
    const gap = custody.ownTime.mark(now);
    if (gap !== null) unwritten.push(gap);
    const gaps = [...unwritten];
    await custody.store.transaction(async (tx) => {
      await keepMark(tx, now, gaps);
      await recordLapses(tx, now);
    });
    unwritten.splice(0, gaps.length);
  };
  const attempt = async (work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (cause) {
      const { name, message } = cause as Error;
      custody.log.error({ name, message }, 'the server could not note that it is there');
    }
  };
  const first = attempt(mark);
  const timer = setInterval(() => {
    void attempt(async () => {
      if (await isConnected()) await mark();
    });
  }, markEvery);
  timer.unref();
  return {
    stop: async () => {
      clearInterval(timer);
      await first;
      await attempt(mark);
    },
  };
}

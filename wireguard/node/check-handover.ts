import { alertNotice } from './check-alert.ts';
import type { AlertTeller } from './check-channel.ts';
import type { FailedTelling, WaitingNotice } from './check-state.ts';

/** A round is over before the next one, and long before what started it loses patience; ms. */
const ROUND_MS = 60_000;
const MINUTE_MS = 60_000;
/** So often each round tries; then after 2 minutes, 4, 8 … */
const EACH_ROUND = 2;
const LONGEST_PAUSE_MS = 30 * MINUTE_MS;
/** Nobody waits for what could not be told for so long, and not by so many tries: a clock may have leapt. */
const GIVEN_UP_MS = 24 * 60 * MINUTE_MS;
const GIVEN_UP_TRIES = 5;

/** What was not taken, and why. */
export interface HandedOver {
  readonly left: readonly WaitingNotice[];
  readonly failures: readonly unknown[];
  /** What is not tried again. */
  readonly dropped: readonly WaitingNotice[];
}

export interface HandingOver {
  readonly now: () => number;
  /** Told what is left each time that changes, so that whoever dies afterwards tells nothing twice. */
  readonly keep: (left: readonly WaitingNotice[]) => void;
  /** In place of a minute, ms. */
  readonly limitMs?: number;
}

/**
 * Hands over what waits, each way out at its own pace and oldest first, for a minute at the most. What was not taken is tried again, by
 * and by less often, and does not keep what is behind it until then; after a day it is dropped.
 */
export async function handOver(
  waiting: readonly WaitingNotice[],
  tellers: readonly AlertTeller[],
  host: string,
  { now, keep, limitMs = ROUND_MS }: HandingOver,
): Promise<HandedOver> {
  const left = new Map(waiting.map((notice) => [notice, notice]));
  const failures: unknown[] = [];
  const dropped: WaitingNotice[] = [];
  const round = new AbortController();
  const timer = setTimeout(() => round.abort(), limitMs);

  /** Whether the way out works. */
  const tell = async (teller: AlertTeller, notice: WaitingNotice): Promise<boolean> => {
    try {
      await teller.tell(alertNotice(notice, host), round.signal);
      left.delete(notice);
      return true;
    } catch (failure) {
      failures.push(failure);
      const failed = failedAgain(notice.failed, now());
      if (isGivenUp(failed)) {
        left.delete(notice);
        dropped.push(notice);
      } else left.set(notice, { ...notice, failed });
      return false;
    }
  };
  const tellAll = async (teller: AlertTeller): Promise<void> => {
    for (const notice of waiting) {
      if (notice.to !== teller.name || !isDue(notice.failed, now())) continue;
      if (round.signal.aborted) return;
      const works = await tell(teller, notice);
      keep([...left.values()]);
      if (!works) return;
    }
  };
  try {
    await Promise.all(tellers.map(tellAll));
  } finally {
    clearTimeout(timer);
  }
  return { left: [...left.values()], failures, dropped };
}

function failedAgain(before: FailedTelling | undefined, now: number): FailedTelling {
  return { tries: (before?.tries ?? 0) + 1, since: Math.min(before?.since ?? now, now), at: now };
}

function isGivenUp({ tries, since, at }: FailedTelling): boolean {
  return tries >= GIVEN_UP_TRIES && at - since >= GIVEN_UP_MS;
}

/** A clock that was set back makes nobody wait. */
function isDue(failed: FailedTelling | undefined, now: number): boolean {
  if (failed === undefined || failed.tries <= EACH_ROUND || now < failed.at) return true;
  const pause = Math.min(MINUTE_MS * 2 ** Math.min(failed.tries - EACH_ROUND, 20), LONGEST_PAUSE_MS);
  return now >= failed.at + pause;
}

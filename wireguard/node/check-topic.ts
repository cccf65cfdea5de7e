import type { CheckEvent, CheckNotice, TopicState } from './check-state.ts';

/** `warning` is between good and bad. */
export type CheckLevel = 'ok' | 'warning' | 'critical';

/** How one thing is that was looked at. */
export interface CheckFinding {
  /** The same from round to round. */
  readonly topic: string;
  readonly event: CheckEvent;
  readonly subject: string;
  readonly level: CheckLevel;
  readonly said: string;
  /** Of a handshake, in seconds; `null` for never. Left out of what has none. */
  readonly age?: number | null;
}

/** So many bad rounds in a row before somebody is told, and so many good ones before it is over. */
export interface CheckRounds {
  readonly badRounds: number;
  readonly goodRounds: number;
}

export const NO_TOPIC: TopicState = { bad: 0, good: 0, toldAt: null };
/** More rounds than that are not told apart. */
const COUNTED = 1_000_000;

/**
 * Pure: what a finding makes of what was known of its topic. Somebody is told once when it was bad for so many rounds in a row, and
 * once when it was good for so many; between good and bad (a handshake that is late and no more) the counts stand.
 */
export function nextTopic(
  before: TopicState,
  { topic: key, event, subject, level, said }: CheckFinding,
  { badRounds, goodRounds }: CheckRounds,
  now: number,
): { readonly topic: TopicState; readonly notice: CheckNotice | null } {
  const { toldAt } = before;
  if (level === 'warning') return { topic: before, notice: null };
  const bad = level === 'critical' ? Math.min(before.bad + 1, COUNTED) : 0;
  const good = level === 'critical' ? 0 : Math.min(before.good + 1, COUNTED);
  const message = { event, subject, said, at: now };
  if (toldAt === null && bad >= badRounds) {
    const notice = { ...message, id: `${now.toString(36)} ${key}`, over: false, lasted: null };
    return { topic: { bad, good, toldAt: now }, notice };
  }
  if (toldAt !== null && good >= goodRounds) {
    const notice = { ...message, id: `${now.toString(36)} over ${key}`, over: true, lasted: Math.max(0, now - toldAt) };
    return { topic: { bad, good, toldAt: null }, notice };
  }
  return { topic: { bad, good, toldAt }, notice: null };
}

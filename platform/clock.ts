import { randomBytes } from 'node:crypto';

/** The time, handed in so that tests control it. */
export interface Clock {
  /** Milliseconds since 1970, wall clock: it goes on while the machine sleeps. */
  now(): number;
}

export const systemClock: Clock = { now: () => Date.now() };

/** `count` unpredictable bytes. */
export type RandomBytes = (count: number) => Buffer;

export const systemRandom: RandomBytes = (count) => randomBytes(count);

import { randomBytes } from 'node:crypto';

/** The time, handed in so that tests control it. */
export interface Clock {
  /** Milliseconds since 1970, wall clock: it goes on while the machine sleeps. */
  now(): number;
}

export const systemClock: Clock = { now: () => Date.now() };

/** `count` unpredictable bytes. */
export type RandomBytes = (count: number) => Buffer;

const poolBytes = 4096;
let pool: Buffer = Buffer.alloc(0);

/** Asks the system for many bytes at once, as each asking costs as much; what was handed out is wiped from the pool. */
export const systemRandom: RandomBytes = (count) => {
  if (count > poolBytes / 4) return randomBytes(count);
  if (pool.length < count) pool = randomBytes(poolBytes);
  const taken = pool.subarray(0, count);
  pool = pool.subarray(count);
  const bytes = Buffer.from(taken);
  taken.fill(0);
  return bytes;
};

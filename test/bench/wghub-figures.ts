/** Milliseconds of something that was done many times. */
export interface Spread {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  readonly count: number;
}

export function spreadOf(samples: readonly number[]): Spread {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (part: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99), max: at(1), count: sorted.length };
}

export async function millisOf(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

export interface Piece {
  readonly millis: number;
  /** The longest time in one piece in which the process did nothing else. */
  readonly longest: number;
}

export async function blocking(work: () => Promise<unknown>): Promise<Piece> {
  let last = performance.now();
  let longest = 0;
  const look = (): void => {
    const now = performance.now();
    longest = Math.max(longest, now - last - 1);
    last = now;
  };
  const timer = setInterval(look, 1);
  const millis = await millisOf(work);
  look();
  clearInterval(timer);
  return { millis, longest };
}

export function pause(millis: number): Promise<void> {
  return new Promise((done) => setTimeout(done, millis));
}

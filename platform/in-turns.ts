/**
 * How long work goes on in one piece, in milliseconds. Short, as a request takes several turns until it is answered, and waits that long
 * for each.
 */
const TURN_MS = 1;

/**
 * Work that is long and not urgent, of which nothing else has to wait: each `yield` is a place where it may be interrupted, and a few
 * microseconds apart is right. Resolves with what the generator returns.
 */
export async function inTurns<T>(steps: Generator<undefined, T>): Promise<T> {
  let begun = performance.now();
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done === true) return step.value;
    if (performance.now() - begun < TURN_MS) continue;
    await new Promise((resolve) => setImmediate(resolve));
    begun = performance.now();
  }
}

/** Such work in one piece. */
export function atOnce<T>(steps: Generator<undefined, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

import { expect, test } from 'vitest';
import { atOnce, inTurns } from '../../platform/in-turns.ts';

function* counting(until: () => boolean): Generator<undefined, number> {
  for (let steps = 0; ; steps++) {
    if (until()) return steps;
    yield;
  }
}

test('others get their turn while long work goes on, and it ends as if in one piece', async () => {
  let isOthersTurn = false;
  setImmediate(() => {
    isOthersTurn = true;
  });
  expect(await inTurns(counting(() => isOthersTurn))).toBeGreaterThan(0); // it would go on for ever without them
});

test('what the work throws is what its caller gets', async () => {
  const broken = (function* (): Generator<undefined, never> {
    yield;
    throw new TypeError('broken');
  })();
  await expect(inTurns(broken)).rejects.toThrow('broken');
});

test('in one piece every step is done and nobody else is asked', () => {
  let left = 1000;
  expect(atOnce(counting(() => left-- === 0))).toBe(1000);
});

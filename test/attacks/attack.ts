import type { Scene } from './scene.ts';

/** `gets-the-key` is for the one row that nothing can withstand; it is told, and is no failure. */
export type Verdict = 'withstood' | 'fell' | 'skipped' | 'gets-the-key';

export interface Outcome {
  readonly outcome: Verdict;
  /** What was tried and what came of it, in one line; the reason when it was skipped. */
  readonly evidence: string;
}

/** One row of the table in SECURITY.md, played for real. */
export interface Attack {
  readonly row: string;
  readonly attackerHas: string;
  /** What it is worth against a stock Nextcloud; `-` where a stock one has nothing of the kind. */
  readonly stock: string;
  /** What is promised with Latchkey. */
  readonly latchkey: string;
  /**
   * Plays the attacker, and first the control: the same attack where it must succeed. Throws when the control does not
   * succeed: an attack that cannot win proves nothing.
   */
  run(scene: Scene): Promise<Outcome>;
}

export function withstood(evidence: string): Outcome {
  return { outcome: 'withstood', evidence };
}

export function fell(evidence: string): Outcome {
  return { outcome: 'fell', evidence };
}

export function skipped(evidence: string): Outcome {
  return { outcome: 'skipped', evidence };
}

/** For controls: what has to be so before an attack means anything. */
export function control(right: boolean, words: string): asserts right {
  if (!right) throw new Error(`control: ${words}`);
}

/** Collects what went wrong in an attack of several tries, so that the first one does not hide the others. */
export class Findings {
  readonly #wrong: string[] = [];

  expect(right: boolean, words: string): void {
    if (!right) this.#wrong.push(words);
  }

  outcome(evidence: string): Outcome {
    return this.#wrong.length === 0 ? withstood(evidence) : fell(this.#wrong.join('; '));
  }
}

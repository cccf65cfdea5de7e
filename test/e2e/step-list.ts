import { isLatchkeyError } from '../../platform/errors.ts';

/** What a step of a life came to. */
export interface StepResult {
  readonly name: string;
  readonly outcome: 'passed' | 'failed' | 'skipped';
  readonly ms: number;
  /** Why it failed or was skipped, or what is worth telling about it. */
  readonly words: string;
}

/** Thrown by a step that does not apply here, with the reason. */
export class NotHere extends Error {}

function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const said = isLatchkeyError(error) ? error.extra?.said : undefined;
  return typeof said === 'string' ? `${error.message}: ${said}` : error.message;
}

/** Runs named steps one after the other. After one has failed the others are not tried: they build on it. */
export class StepList {
  readonly results: StepResult[] = [];
  readonly #say: (line: string) => void;
  #failed: string | null = null;

  constructor(say: (line: string) => void) {
    this.#say = say;
  }

  /** `work` may answer words for the report. */
  async step(name: string, work: () => Promise<string | undefined>): Promise<void> {
    if (this.#failed !== null)
      return this.#note({ name, outcome: 'skipped', ms: 0, words: `"${this.#failed}" failed` });
    const began = performance.now();
    const ms = (): number => Math.round(performance.now() - began);
    try {
      const words = await work();
      this.#note({ name, outcome: 'passed', ms: ms(), words: words ?? '' });
    } catch (error) {
      if (error instanceof NotHere) return this.#note({ name, outcome: 'skipped', ms: ms(), words: error.message });
      this.#failed = name;
      this.#note({ name, outcome: 'failed', ms: ms(), words: wordsOf(error) });
    }
  }

  #note(result: StepResult): void {
    this.results.push(result);
    const words = result.words === '' ? '' : `: ${result.words}`;
    this.#say(`${result.outcome.padEnd(7)} ${(result.ms / 1000).toFixed(1).padStart(6)} s  ${result.name}${words}`);
  }
}

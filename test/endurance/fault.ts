import type { Scene } from '../attacks/scene.ts';

/** What one fault came to. */
export interface FaultReport {
  /** What was done, with figures: how many, how long. */
  readonly done: string;
  /** What the server answered while it lasted. */
  readonly meanwhile: string;
  /** From the end of the fault to the first key an honest host was given, ms. */
  readonly servedAgainMs: number;
  /** Keys that honest hosts were given, each with its record in the log. */
  readonly releases: number;
}

/** Something that goes wrong, for real, under a running key server with an honest host at work. */
export interface Fault {
  readonly name: string;
  /** Throws when something was released without a record, a key was lost, or an honest host was called a copy. */
  run(scene: Scene, effort: Effort): Promise<FaultReport>;
}

/** How much is done of what can be done more or less often. */
export interface Effort {
  readonly kills: number;
  readonly requests: number;
  /** A bound for each fault, ms. */
  readonly timeLimit: number;
}

/** Within this time honest hosts must be served again, ms. */
export const recoveryLimit = 5_000;

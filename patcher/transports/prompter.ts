/** Asks a person at a terminal; where there is none, callers pass null instead of a prompter. */
export interface Prompter {
  /** Null when the person gives up. `secret` answers are not echoed. */
  ask(question: string, options: { secret: boolean }): Promise<string | null>;
}

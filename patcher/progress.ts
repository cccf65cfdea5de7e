/** What a long command tells while it works; goes to stderr, never to stdout. */
export interface Progress {
  /** Something is about to be done: `[#] deploy the app …`. */
  step(text: string): void;
  /** Something worth knowing. */
  note(text: string): void;
}

export function progressOn(stream: { write(text: string): unknown }): Progress {
  return {
    step: (text) => void stream.write(`[#] ${text}\n`),
    note: (text) => void stream.write(`    ${text}\n`),
  };
}

/** Undo steps, run last first, each once and each even when another fails. */
export class Cleanup {
  #steps: { readonly name: string; readonly undo: () => void | Promise<void> }[] = [];
  #running: Promise<string[]> | null = null;

  add(name: string, undo: () => void | Promise<void>): void {
    this.#steps.push({ name, undo });
  }

  /** Answers what could not be undone, as `name: reason`. */
  run(): Promise<string[]> {
    this.#running ??= this.#undoAll().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #undoAll(): Promise<string[]> {
    const failures: string[] = [];
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step.undo();
      } catch (error) {
        failures.push(`${step.name}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    return failures;
  }

  /** Runs the steps when the process is told to end (Ctrl-C, kill), then lets it end with the usual exit code. */
  guard(signals: NodeJS.EventEmitter = process): () => void {
    const codes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
    const listeners = Object.entries(codes).map(([signal, code]) => {
      const listener = (): void => void this.run().finally(() => process.exit(code));
      signals.once(signal, listener);
      return () => signals.off(signal, listener);
    });
    return () => {
      for (const off of listeners) off();
    };
  }
}

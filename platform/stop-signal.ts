/** What hears the signals: the process. */
export interface SignalSource {
  on(signal: 'SIGINT' | 'SIGTERM', heard: () => void): unknown;
}

/** Aborted when the process is asked to end. From the first call of what this answers, the two signals do nothing else. */
export function stopSignalOf(source: SignalSource): () => AbortSignal {
  let stop: AbortController | null = null;
  return () => {
    if (stop !== null) return stop.signal;
    const controller = new AbortController();
    stop = controller;
    // not once: Ctrl-C reaches this process by its terminal and again through the launcher, and must not cut the stop short
    for (const signal of ['SIGINT', 'SIGTERM'] as const) source.on(signal, () => controller.abort());
    return controller.signal;
  };
}

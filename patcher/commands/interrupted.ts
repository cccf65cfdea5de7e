/** The process, as who listens for Ctrl-C sees it. */
export interface InterruptSource {
  readonly pid: number;
  once(signal: 'SIGINT', heard: () => void): unknown;
  off(signal: 'SIGINT', heard: () => void): unknown;
  kill(pid: number, signal: 'SIGINT'): unknown;
}

/** Runs `work`. Whoever presses Ctrl-C meanwhile is told something, and the process ends by the signal, as it does without. */
export async function toldWhenInterrupted<T>(
  source: InterruptSource,
  tell: () => void,
  work: () => Promise<T>,
): Promise<T> {
  const onInterrupt = (): void => {
    tell();
    source.kill(source.pid, 'SIGINT');
  };
  source.once('SIGINT', onInterrupt);
  try {
    return await work();
  } finally {
    source.off('SIGINT', onInterrupt);
  }
}

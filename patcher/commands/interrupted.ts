/** Runs `work`. Whoever presses Ctrl-C meanwhile is told something, and the process ends by the signal, as it does without. */
export async function toldWhenInterrupted<T>(tell: () => void, work: () => Promise<T>): Promise<T> {
  const onInterrupt = (): void => {
    tell();
    process.kill(process.pid, 'SIGINT');
  };
  process.once('SIGINT', onInterrupt);
  try {
    return await work();
  } finally {
    process.off('SIGINT', onInterrupt);
  }
}

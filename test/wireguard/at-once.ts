import { vi } from 'vitest';
import type { Store } from '../../platform/store.ts';
import type { HubDatabase } from '../../wireguard/store/schema.ts';

/**
 * Does the same so many times at once, none of them ahead: the first transaction begins when the last of all is asked for. Without that
 * a process with one thread is often done with one request before it reads the next, and nothing ever races.
 */
export async function allAtOnce<T>(store: Store<HubDatabase>, count: number, work: () => Promise<T>): Promise<T[]> {
  const transaction = store.transaction.bind(store);
  let open: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  let asked = 0;
  const held = vi.spyOn(store, 'transaction').mockImplementation(async (job) => {
    asked += 1;
    if (asked === count) open();
    await gate;
    return transaction(job);
  });
  try {
    return await Promise.all(Array.from({ length: count }, work));
  } finally {
    held.mockRestore();
  }
}

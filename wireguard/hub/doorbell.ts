import { chmodSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import * as z from 'zod';
import { LatchkeyError } from '../../platform/errors.ts';

/** What a command changed beside a running hub. */
export interface Ring {
  readonly interface: string;
  readonly publicKeys: readonly string[];
}

const ringSchema = z.strictObject({
  interface: z.string().max(15),
  publicKeys: z.array(z.string().max(64)).max(10_000),
});
const MOST_BYTES = 1024 * 1024;
const TIMEOUT_MS = 15_000;

/**
 * Listens at a socket that only the hub's own user can reach, for commands that committed something and want the interface to show
 * it now. `answer` says whether it does. What comes over it names peers and nothing more: what they are is in the store.
 */
export async function hangDoorbell(
  path: string,
  answer: (ring: Ring) => Promise<boolean>,
): Promise<() => Promise<void>> {
  rmSync(path, { force: true }); // of a hub that was killed; two hubs of one directory are told apart by their API's port
  const server: Server = createServer((line) => {
    let text = '';
    line.setTimeout(TIMEOUT_MS, () => line.destroy());
    line.on('error', () => undefined);
    line.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
      if (text.length > MOST_BYTES) line.destroy();
      if (!text.endsWith('\n')) return;
      void answered(text, answer).then((word) => line.end(`${word}\n`));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new LatchkeyError('listen_failed', `could not listen at ${path}`, { cause })),
    );
    server.listen(path, resolve);
  });
  chmodSync(path, 0o600);
  return () => new Promise((resolve) => server.close(() => resolve()));
}

async function answered(text: string, answer: (ring: Ring) => Promise<boolean>): Promise<'ok' | 'later' | 'refused'> {
  try {
    return (await answer(ringSchema.parse(JSON.parse(text)))) ? 'ok' : 'later';
  } catch {
    return 'refused';
  }
}

/** How a running hub took it: `live` when the interface shows the change, `later` when it could not be told yet, `none` when no hub runs. */
export type RingAnswer = 'live' | 'later' | 'none';

/** Tells the hub at `path` what was changed; a hub that does not run will read it from the store when it starts. */
export function ringDoorbell(path: string, ring: Ring): Promise<RingAnswer> {
  return new Promise((resolve) => {
    let text = '';
    const line = connect(path);
    line.setTimeout(TIMEOUT_MS, () => line.destroy());
    line.on('connect', () => line.write(`${JSON.stringify(ring)}\n`));
    line.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
    });
    line.on('error', () => resolve('none'));
    line.on('close', () => resolve(text === 'ok\n' ? 'live' : 'later'));
  });
}

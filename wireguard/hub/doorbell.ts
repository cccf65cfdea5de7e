import { chmodSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
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
/** What may be asked of a running hub: what it sees, which is in no store. */
const questionSchema = z.strictObject({ ask: z.literal('status') });
const ANSWERS: readonly RingAnswer[] = ['live', 'none'];
const MOST_BYTES = 1024 * 1024;
const TIMEOUT_MS = 15_000;
const FAREWELL_MS = 1_000;

/** How a hub took it: `live` when the interface shows the change, `later` when it could not be told yet, `none` when no hub that runs keeps it. */
export type RingAnswer = 'live' | 'later' | 'none';

/**
 * Listens at a socket that only the hub's own user can reach, for commands that committed something and want the interface to show
 * it now. `answer` says how that went. What comes over it names peers and nothing more: what they are is in the store. A ring
 * that names none tells that the facts of the interface have changed. `report` is what the hub tells of itself when it is asked.
 */
export async function hangDoorbell(
  path: string,
  answer: (ring: Ring) => Promise<RingAnswer>,
  report: () => unknown,
): Promise<() => Promise<void>> {
  rmSync(path, { force: true }); // of a hub that was killed; two hubs of one directory are told apart by their API's port
  const lines = new Set<Socket>();
  const server: Server = createServer((line) => {
    let text = '';
    lines.add(line);
    line.on('close', () => lines.delete(line));
    line.setTimeout(TIMEOUT_MS, () => line.destroy());
    line.on('error', () => undefined);
    line.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
      if (text.length > MOST_BYTES) line.destroy();
      if (!text.endsWith('\n')) return;
      void answered(text, answer, report).then((word) => line.end(`${word}\n`));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(
        new LatchkeyError('listen_failed', `could not listen at ${path}`, {
          cause,
          hint: 'the path of a socket has 107 bytes at the most: a data directory of a shorter path has room for it',
        }),
      ),
    );
    server.listen(path, resolve);
  });
  chmodSync(path, 0o600);
  return () => unhung(server, lines);
}

/** Takes no new ring, and gives those under way a moment for their answer. */
function unhung(server: Server, lines: ReadonlySet<Socket>): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      for (const line of lines) line.destroy();
    }, FAREWELL_MS);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

async function answered(
  text: string,
  answer: (ring: Ring) => Promise<RingAnswer>,
  report: () => unknown,
): Promise<string> {
  try {
    const asked: unknown = JSON.parse(text);
    if (questionSchema.safeParse(asked).success) return JSON.stringify(report());
    return await answer(ringSchema.parse(asked));
  } catch {
    return 'refused';
  }
}

/** Tells the hub at `path` what was changed; a hub that does not run will read it from the store when it starts. */
export async function ringDoorbell(path: string, ring: Ring): Promise<RingAnswer> {
  const text = await said(path, ring);
  if (text === null) return 'none';
  return ANSWERS.find((answer) => text === `${answer}\n`) ?? 'later';
}

/** Whether a hub runs there. */
export async function isAtDoor(path: string): Promise<boolean> {
  return (await said(path, { ask: 'status' })) !== null;
}

/** What the hub at `path` sees, as it was given to `hangDoorbell`; `null` when no hub runs, or none that answers. */
export async function askDoorbell(path: string): Promise<unknown> {
  const text = await said(path, { ask: 'status' });
  if (text === null) return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** What is answered there; `null` where nobody listens. */
function said(path: string, words: unknown): Promise<string | null> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const line = connect(path);
    line.setTimeout(TIMEOUT_MS, () => line.destroy());
    line.on('connect', () => line.write(`${JSON.stringify(words)}\n`));
    line.on('data', (chunk: Buffer) => chunks.push(chunk));
    line.on('error', () => resolve(null));
    line.on('close', () => resolve(Buffer.concat(chunks).toString('utf8')));
  });
}

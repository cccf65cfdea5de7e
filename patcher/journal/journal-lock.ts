import * as z from 'zod';
import { LatchkeyError } from '../../platform/errors.ts';
import type { AppendGuard, Transport } from '../transports/transport.ts';

/** Who writes the journal. `machine` must be unlike any other's: host name and something of the machine id. */
export interface JournalWriter {
  readonly user: string;
  readonly machine: string;
  readonly pid: number;
}

export interface LockOptions {
  readonly transport: Transport;
  readonly path: string;
  /** A file whose time shows when the holder was last active. */
  readonly active: string;
  readonly by: JournalWriter;
  readonly nonce: string;
  readonly now: number;
  readonly takeOver: boolean;
  readonly notice: (text: string) => void;
  /** Whether a process of this machine lives. */
  readonly isAlive: (pid: number) => boolean;
}

/** Without a sign of life for so long a writer counts as gone. The longest single step has a shorter deadline. */
export const LOCK_STALE_SECONDS = 15 * 60;

const TRIES = 3;

const lockSchema = z.strictObject({
  v: z.literal(1),
  user: z.string().max(300),
  machine: z.string().max(300),
  pid: z.number().int(),
  since: z.number().int(),
  nonce: z.string(),
});

/**
 * Takes the lock; the guard that comes back lets `appendLine` refuse to write once somebody else has taken it.
 * `journal_locked` (exit 3) names who holds it, since when, and when it last showed life.
 */
export async function takeLock(options: LockOptions): Promise<AppendGuard> {
  const { transport, path, by, nonce, now } = options;
  const { user, machine, pid } = by;
  const holds = JSON.stringify({ v: 1, user, machine, pid, since: now, nonce });
  const owner = { mode: 0o600, uid: transport.user.uid, gid: transport.user.gid };
  for (let tries = 0; tries < TRIES; tries++) {
    if (await transport.createFileExclusive(path, Buffer.from(`${holds}\n`), owner)) return { path, holds };
    const held = await transport.readFile(path, { max: 4096 });
    if (held === null) continue;
    const reason = await reasonToTakeOver(options, held.toString('utf8'));
    options.notice(reason);
    await removeIfSame(transport, path, held);
  }
  throw new LatchkeyError('journal_locked', 'others keep taking the lock of the journal', { exit: 3 });
}

/** Gives the lock back if it is still ours. */
export async function releaseLock(transport: Transport, guard: AppendGuard): Promise<void> {
  await removeIfSame(transport, guard.path, Buffer.from(`${guard.holds}\n`));
}

async function removeIfSame(transport: Transport, path: string, content: Buffer): Promise<void> {
  const held = await transport.readFile(path, { max: 4096 });
  if (held?.equals(content)) await transport.remove(path);
}

/** In words why the present holder need not be waited for; throws when it must be. */
async function reasonToTakeOver(options: LockOptions, text: string): Promise<string> {
  const { by, isAlive, takeOver } = options;
  const holder = readHolder(text);
  const name =
    holder === null ? 'a lock that cannot be read' : `${holder.user}@${holder.machine} (process ${holder.pid})`;
  if (takeOver) return `the lock of ${name} is taken over, as asked`;
  if (holder !== null && holder.machine === by.machine && (holder.pid === by.pid || !isAlive(holder.pid))) {
    return `the lock of ${name} is taken over: that process has ended`;
  }
  const idle = await idleSeconds(options);
  if (idle > LOCK_STALE_SECONDS) return `the lock of ${name} is taken over: no sign of life for ${idle} seconds`;
  const since = holder === null ? '' : ` since ${new Date(holder.since).toISOString()}`;
  throw new LatchkeyError(
    'journal_locked',
    `${name} is at work on this Nextcloud${since}, last active ${idle} seconds ago`,
    {
      exit: 3,
      hint: 'wait for it to end; if it has ended, --take-over goes on without waiting',
      extra: { holder: holder && { user: holder.user, machine: holder.machine, pid: holder.pid }, idleSeconds: idle },
    },
  );
}

function readHolder(text: string): z.infer<typeof lockSchema> | null {
  try {
    return lockSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** By the clock of the target, which also sets the files' times. */
async function idleSeconds(options: LockOptions): Promise<number> {
  const { transport, path, active } = options;
  const times = [await transport.stat(path), await transport.stat(active)].map((stat) => stat?.mtime ?? 0);
  const clock = (await transport.run(['date', '+%s'])).stdout.toString('utf8').trim();
  if (!/^[0-9]{1,15}$/.test(clock)) throw new LatchkeyError('target_answer', 'the target does not tell the time');
  return Math.max(0, Number(clock) - Math.max(...times));
}

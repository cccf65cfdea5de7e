import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import * as z from 'zod';
import { LatchkeyError } from '../../platform/errors.ts';
import { processLives } from '../../platform/process-lives.ts';
import type { JournalDeps } from '../journal/transaction.ts';
import { isOneMachine } from '../machine-name.ts';
import type { RunResult, Transport } from '../transports/transport.ts';

/** Gone after a power cut, as is whoever held it there. */
const LOCK = '/var/run/latchkey-setup.lock';
const RENEW_MS = 15_000;
/** Whoever was silent for longer is looked at again, a while later. */
const QUIET_SECONDS = 60;
const LOOK_AGAIN_MS = 30_000;
const LOOKS = 6;
/** A laptop that has slept asks before it goes on. */
const SURE_MS = 45_000;
/** As often others may be quicker. */
const TRIES = 3;
/** The last moment that a date can tell. */
const LATEST = 8.64e15;

export type HomeLockDeps = Pick<JournalDeps, 'by' | 'now' | 'random' | 'takeOver' | 'progress'>;

/** For tests. */
export interface HomeLockTimes {
  readonly path?: string;
  readonly renewMs?: number;
  readonly lookAgainMs?: number;
  readonly sureMs?: number;
  readonly isAlive?: (pid: number) => boolean;
}

const holderSchema = z.strictObject({
  v: z.literal(1),
  user: z.string().max(300),
  machine: z.string().max(300),
  pid: z.int(),
  since: z.int().min(0).max(LATEST),
  for: z.string().max(300),
  nonce: z.string(),
});
type Holder = z.infer<typeof holderSchema>;

/** What is found there that is not ours. */
interface Held {
  readonly line: string;
  /** Seconds since 1970 by the clock at home, which may be set meanwhile. */
  readonly shown: number;
  readonly now: number;
}

/**
 * Runs `work` as the only setup, teardown or change of tunnels on the machine at home, whichever desk the others are run from. What it
 * is given in place of `home` refuses to do anything there once somebody else has taken over. Throws `home_busy` (exit 3), which says
 * who is at work for which server and since when, and `home_lock_lost` (exit 3).
 *
 * Who holds it says so every few seconds. One that has ended on this very machine is known at once, where the machine's name is no
 * other's; any other is gone when it gives no sign of life while it is watched, whatever clocks say.
 */
export async function aloneAtHome<T>(
  home: Transport,
  server: string,
  deps: HomeLockDeps,
  work: (home: Transport) => Promise<T>,
  times: HomeLockTimes = {},
): Promise<T> {
  const lock = await HomeLock.take(home, server, deps, times);
  try {
    return await work(lock.guarded());
  } finally {
    await lock.give();
  }
}

class HomeLock {
  readonly #home: Transport;
  readonly #path: string;
  readonly #line: string;
  readonly #now: () => number;
  readonly #sureMs: number;
  readonly #timer: NodeJS.Timeout;
  #heard: number;
  #isLost = false;
  #isAsking = false;

  private constructor(home: Transport, line: string, now: () => number, times: HomeLockTimes) {
    const { path = LOCK, renewMs = RENEW_MS, sureMs = SURE_MS } = times;
    this.#home = home;
    this.#path = path;
    this.#line = line;
    this.#now = now;
    this.#heard = now();
    this.#sureMs = sureMs;
    this.#timer = setInterval(() => {
      // a line that is cut is told by what was to be done over it
      if (!this.#isAsking) this.#renew().catch(() => undefined);
    }, renewMs);
    this.#timer.unref();
  }

  static async take(home: Transport, server: string, deps: HomeLockDeps, times: HomeLockTimes): Promise<HomeLock> {
    const { by, now, random, takeOver, progress } = deps;
    const { path = LOCK, lookAgainMs = LOOK_AGAIN_MS, isAlive = processLives } = times;
    const { user, machine, pid } = by;
    const own: Holder = { v: 1, user, machine, pid, since: now(), for: server, nonce: random(8).toString('hex') };
    const line = JSON.stringify(own);
    let held = await ask(home, ['take', path, line]);
    for (let tries = 0; held !== null; tries += 1) {
      if (tries === TRIES) throw busy(home, holderIn(held.line), held);
      const holder = holderIn(held.line);
      const name = nameOf(holder);
      const isHere = holder?.machine === machine && isOneMachine(machine);
      const hasEnded = holder !== null && isHere && !isAlive(holder.pid);
      const isEnough = takeOver || hasEnded;
      if (isEnough) {
        progress.note(
          `the lock of ${name} at home is taken over${hasEnded ? ': that process has ended' : ', as asked'}`,
        );
      } else {
        if (isLively(held)) throw busy(home, holder, held);
        progress.note(`${name} seems to be at work at home, and gives no sign of life: it is watched for a moment`);
        for (let looks = 0; looks < LOOKS; looks += 1) {
          await delay(lookAgainMs / LOOKS);
          const later = await ask(home, ['take', path, line]);
          if (later === null) return new HomeLock(home, line, now, times);
          if (later.line !== held.line || later.shown !== held.shown) throw busy(home, holderIn(later.line), later);
        }
        progress.note(`the lock of ${name} at home is taken over: it has ended, or cannot be reached`);
      }
      // one that was watched may have shown life since
      const lastSeen = isEnough ? [] : [String(held.shown)];
      held = await ask(home, ['replace', path, line, held.line, ...lastSeen]);
    }
    return new HomeLock(home, line, now, times);
  }

  /** The same machine, for as long as nobody else is at work there. */
  guarded(): Transport {
    const run: Transport['run'] = async (argv, options) => {
      if (!this.#isSure()) await this.#renew();
      if (this.#isLost) throw lost(this.#home);
      if (!this.#isSure()) throw unsure(this.#home);
      return this.#home.run(argv, options);
    };
    return new Proxy(this.#home, {
      get: (target, name) => {
        const value: unknown = name === 'run' ? run : Reflect.get(target, name, target);
        return typeof value === 'function' && name !== 'run' ? value.bind(target) : value;
      },
    });
  }

  async give(): Promise<void> {
    clearInterval(this.#timer);
    // where the line is cut it is found out by the next one
    if (!this.#isLost) await order(this.#home, ['give', this.#path, this.#line]).catch(() => undefined);
  }

  #isSure(): boolean {
    return this.#now() - this.#heard <= this.#sureMs;
  }

  async #renew(): Promise<void> {
    this.#isAsking = true;
    try {
      const { stdout } = await order(this.#home, ['renew', this.#path, this.#line]);
      const said = stdout.toString('utf8');
      if (said.includes('lock lost\n')) this.#isLost = true;
      if (said.includes('lock kept\n')) this.#heard = this.#now();
    } finally {
      this.#isAsking = false;
    }
  }
}

async function order(home: Transport, words: readonly string[]): Promise<RunResult> {
  const script = await readFile(join(import.meta.dirname, 'home-lock.sh'), 'utf8');
  return home.run(['sh', '-s', '--', ...words], { input: script });
}

/** `null` when it is ours. */
async function ask(home: Transport, words: readonly string[]): Promise<Held | null> {
  const { stdout } = await order(home, words);
  const text = stdout.toString('utf8');
  if (text.startsWith('lock taken\n')) return null;
  const [, shown, now, line] = /^lock held\nshown (\d+)\nnow (\d+)\nholder (.*)\n$/.exec(text) ?? [];
  if (shown !== undefined && now !== undefined && line !== undefined) {
    return { line, shown: Number(shown), now: Number(now) };
  }
  const said = /^error (.*)$/m.exec(text)?.[1] ?? 'the lock of setups cannot be taken there';
  throw new LatchkeyError('home_refused', `${home.label}: ${said}`);
}

/** Its last sign is not long ago. One from what a clock calls the future tells nothing. */
function isLively({ shown, now }: Held): boolean {
  const age = now - shown;
  return age >= 0 && age <= QUIET_SECONDS;
}

function holderIn(line: string): Holder | null {
  try {
    return holderSchema.parse(JSON.parse(line));
  } catch {
    return null;
  }
}

function nameOf(holder: Holder | null): string {
  return holder === null ? 'somebody' : `${holder.user}@${holder.machine} (process ${holder.pid})`;
}

function busy(home: Transport, holder: Holder | null, { shown, now }: Held): LatchkeyError {
  const since = holder === null ? '' : ` for ${holder.for} since ${new Date(holder.since).toISOString()}`;
  const age = Math.max(0, now - shown);
  const words = `${nameOf(holder)} is at work on ${home.label}${since}, last heard of ${age} seconds ago`;
  return new LatchkeyError('home_busy', words, {
    exit: 3,
    hint: 'wait for it to end; if it has ended, --take-over goes on without waiting',
    ...(holder === null ? {} : { extra: { holder: { user: holder.user, machine: holder.machine, pid: holder.pid } } }),
  });
}

function lost(home: Transport): LatchkeyError {
  return new LatchkeyError(
    'home_lock_lost',
    `another setup is at work on ${home.label} now: this one was silent for too long`,
    {
      exit: 3,
      hint: 'wait for its end, then run the same again: it looks at what is there, and goes on',
    },
  );
}

function unsure(home: Transport): LatchkeyError {
  return new LatchkeyError('home_refused', `${home.label}: it cannot be told whether another setup is at work there`, {
    hint: 'run the same again: it looks at what is there, and goes on',
  });
}

import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import type { Ring, RingAnswer } from './doorbell.ts';

export interface NewsParts {
  /** Of this process, and of no other. */
  readonly id: string;
  /** Says a text to every hub of the database, this one too. Rejects when it could not be said. */
  readonly say: (text: string) => Promise<void>;
  /** Whether the interface shows it now; `null` where another hub keeps the interface. */
  readonly answer: (ring: Ring) => Promise<boolean | null>;
  /** Whether a hub that runs keeps the interface. */
  readonly isKept: (name: string) => Promise<boolean>;
  /** How long an answer is waited for, in milliseconds. */
  readonly patience?: number;
}

const name = z.string().max(15);
const id = z.string().regex(/^[0-9a-f]{12}$/);
const newsSchema = z.union([
  z.strictObject({ from: id, ask: z.int(), interface: name, publicKeys: z.array(z.string().max(64)).max(1000) }),
  z.strictObject({ to: id, ask: z.int(), live: z.boolean() }),
]);
type News = z.infer<typeof newsSchema>;

/** A notification has 8,000 bytes, of which a key takes 47; whoever has more to tell says that everything has to be looked at. */
const MOST_KEYS = 160;
/** The hub that is asked has patience of its own, which is shorter. */
const PATIENCE_MS = 6_000;

interface Queued {
  /** `null`: all of it. */
  keys: Set<string> | null;
  readonly done: Promise<RingAnswer>;
}

/**
 * What hubs of one database tell each other: something about these peers, or about this interface, is another thing in the store by
 * now. It names peers and nothing more. News that come while others are under way go together. Nothing rests on them: who hears
 * none compares its interface each minute.
 */
export class ChangeNews {
  readonly #parts: NewsParts;
  readonly #queued = new Map<string, Queued>();
  readonly #busy = new Map<string, Promise<unknown>>();
  readonly #asked = new Map<number, (isLive: boolean) => void>();
  #count = 0;

  constructor(parts: NewsParts) {
    this.#parts = parts;
  }

  /**
   * Tells the hub that keeps the interface, and says how it took that: `live` when the interface shows it, `later` when nobody
   * knows, `none` when no hub that runs keeps it. Without peers it is about the facts of the interface.
   */
  tell({ interface: onto, publicKeys }: Ring): Promise<RingAnswer> {
    const queued = this.#queued.get(onto);
    if (queued !== undefined) {
      queued.keys = publicKeys.length === 0 ? null : (queued.keys?.union(new Set(publicKeys)) ?? null);
      return queued.done;
    }
    const before = this.#busy.get(onto) ?? Promise.resolve();
    const done = before.then(() => this.#send(onto));
    this.#queued.set(onto, { keys: publicKeys.length === 0 ? null : new Set(publicKeys), done });
    this.#busy.set(onto, done);
    return done;
  }

  /** Tells all of them that an interface has other facts, and waits for nobody. */
  async spread(onto: string): Promise<void> {
    const { id: from, say } = this.#parts;
    await say(textOf({ from, ask: 0, interface: onto, publicKeys: [] }));
  }

  /** Takes what was said; what is none of this program's is passed over. */
  async hear(text: string): Promise<void> {
    const news = parsed(text);
    if (news === null) return;
    const { id: own, answer, say } = this.#parts;
    if ('to' in news) {
      if (news.to === own) this.#asked.get(news.ask)?.(news.live);
      return;
    }
    if (news.from === own) return;
    const { from, ask } = news;
    const isLive = await answer({ interface: news.interface, publicKeys: news.publicKeys });
    if (isLive === null || ask === 0) return;
    await say(textOf({ to: from, ask, live: isLive })).catch(() => undefined); // who asked waits no longer than it likes
  }

  async #send(onto: string): Promise<RingAnswer> {
    const { id: from, say, isKept } = this.#parts;
    const { keys } = this.#queued.get(onto) ?? { keys: null };
    this.#queued.delete(onto);
    const publicKeys = keys === null || keys.size > MOST_KEYS ? [] : [...keys];
    const ask = ++this.#count;
    const over = new AbortController();
    try {
      const isAnswered = await isKept(onto);
      const answered = new Promise<boolean>((resolve) => this.#asked.set(ask, resolve));
      await say(textOf({ from, ask, interface: onto, publicKeys }));
      if (!isAnswered) return 'none';
      const late = sleep(this.#parts.patience ?? PATIENCE_MS, false, { signal: over.signal }).catch(() => false);
      return (await Promise.race([answered, late])) ? 'live' : 'later';
    } catch {
      return 'later';
    } finally {
      over.abort();
      this.#asked.delete(ask);
    }
  }
}

function textOf(news: News): string {
  return JSON.stringify(news);
}

function parsed(text: string): News | null {
  try {
    return newsSchema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}

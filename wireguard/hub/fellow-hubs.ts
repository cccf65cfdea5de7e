import type { RandomBytes } from '../../platform/clock.ts';
import { PostgresLine } from '../../platform/postgres-line.ts';
import type { PostgresAddress } from '../../platform/postgres-url.ts';
import { ChangeNews } from './change-news.ts';
import type { Ring, RingAnswer } from './doorbell.ts';
import { InterfaceClaims, type Keeper, lineName } from './interface-claims.ts';

export interface FellowParts {
  readonly address: PostgresAddress;
  /** What the hub calls itself. */
  readonly hub: string;
  readonly random: RandomBytes;
  /** Whether the interface shows it now; `null` where it is another hub's. */
  readonly answer: (ring: Ring) => Promise<boolean | null>;
  /** The line was lost and is there again: claims are gone, and news were not heard. */
  readonly onUp: () => void;
  /** Told when news could not be taken up. */
  readonly onTrouble: (error: unknown) => void;
}

/** The other hubs of a PostgreSQL database, as one of them knows them: what they keep, and a word to them when something changed. */
export class FellowHubs {
  readonly #line: PostgresLine;
  readonly #claims: InterfaceClaims;
  readonly #news: ChangeNews;

  private constructor(line: PostgresLine, claims: InterfaceClaims, news: ChangeNews) {
    this.#line = line;
    this.#claims = claims;
    this.#news = news;
  }

  /** Throws `store_unreachable`. */
  static async open({ address, hub, random, answer, onUp, onTrouble }: FellowParts): Promise<FellowHubs> {
    const id = random(6).toString('hex');
    let line: PostgresLine | null = null;
    const there = (): PostgresLine => {
      if (line === null) throw new TypeError('the line is not open yet');
      return line;
    };
    const claims = new InterfaceClaims((text, values) => there().ask(text, values), id);
    const news = new ChangeNews({
      id,
      answer,
      say: (text) => there().say(text),
      isKept: async (name) => (await claims.keeperOf(name)) !== null,
    });
    const onText = (text: string): void => void news.hear(text).catch(onTrouble);
    line = await PostgresLine.open({ address, name: lineName(hub, id), channel: 'wghub', onText, onUp });
    return new FellowHubs(line, claims, news);
  }

  /** See `InterfaceClaims.take`. */
  take(name: string): Promise<Keeper | null> {
    return this.#claims.take(name);
  }

  giveBack(name: string): Promise<void> {
    return this.#claims.giveBack(name);
  }

  keeperOf(name: string): Promise<Keeper | null> {
    return this.#claims.keeperOf(name);
  }

  /** See `ChangeNews.tell`. */
  tell(ring: Ring): Promise<RingAnswer> {
    return this.#news.tell(ring);
  }

  spread(name: string): Promise<void> {
    return this.#news.spread(name);
  }

  close(): Promise<void> {
    return this.#line.close();
  }
}

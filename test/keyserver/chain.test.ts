import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type ChainCounters,
  decideHeartbeat,
  decideOpen,
  decideRelease,
  freshness,
  issuedOne,
  promoted,
  standingOf,
} from '../../keyserver/chain.ts';

describe('freshness()', () => {
  test('a message that is later than the one which spent its link is fresh, however late the last one was', () => {
    expect(freshness(1000, 50_000, 1000, 999)).toBe('fresh');
    expect(freshness(1000, 50_000, 1000, 1000)).toBe('repeated');
    expect(freshness(1000, 50_000, 1000, null)).toBe('repeated');
    expect(freshness(1000, 50_000, 100_000, 999)).toBe('skewed');
  });

  test('refuses a time more than 60 s away from the clock, on either side', () => {
    expect(freshness(1_060_000, 0, 1_000_000)).toBe('fresh');
    expect(freshness(1_060_001, 0, 1_000_000)).toBe('skewed');
    expect(freshness(940_000, 0, 1_000_000)).toBe('fresh');
    expect(freshness(939_999, 0, 1_000_000)).toBe('skewed');
  });

  test('refuses a time that is not later than the last one judged', () => {
    expect(freshness(999, 1000, 1000)).toBe('repeated');
    expect(freshness(1000, 1000, 1000)).toBe('repeated');
    expect(freshness(1001, 1000, 1000)).toBe('fresh');
  });
});

describe('standingOf()', () => {
  test('a link nobody issued is unknown', () => {
    expect(standingOf(null, { issued: 3, confirmed: 1, spentTo: 1 })).toBe('unknown');
  });

  test('promoting a link spends those issued before and after it', () => {
    const chain = promoted(2, { issued: 4, confirmed: 1, spentTo: 1 });
    expect([1, 2, 3, 4].map((number) => standingOf(number, chain))).toEqual(['spent', 'confirmed', 'spent', 'spent']);
    expect(standingOf(5, issuedOne(chain))).toBe('pending');
  });
});

describe('decideOpen()', () => {
  test('is stale before it is anything else, so that a delayed packet is never a fork', () => {
    expect(decideOpen('spent', 'repeated')).toBe('stale');
    expect(decideOpen('spent', 'skewed')).toBe('stale');
    expect(decideOpen('unknown', 'repeated')).toBe('stale');
  });

  test('tells a spent link from an unknown one', () => {
    expect(decideOpen('spent', 'fresh')).toBe('fork');
    expect(decideOpen('unknown', 'fresh')).toBe('unknown');
  });

  test('issues after a confirmed link and promotes a pending one', () => {
    expect(decideOpen('confirmed', 'fresh')).toBe('issue');
    expect(decideOpen('pending', 'fresh')).toBe('promote-and-issue');
  });
});

describe('decideRelease()', () => {
  test('takes a confirmed link for a fork: an honest client sends it once', () => {
    expect(decideRelease('confirmed', 'fresh', true)).toBe('fork');
    expect(decideRelease('spent', 'fresh', true)).toBe('fork');
  });

  test('is stale without the session that issued the link', () => {
    expect(decideRelease('pending', 'fresh', false)).toBe('stale');
    expect(decideRelease('pending', 'fresh', true)).toBe('release');
  });

  test('refuses a stale or unknown message', () => {
    expect(decideRelease('confirmed', 'repeated', true)).toBe('stale');
    expect(decideRelease('unknown', 'fresh', true)).toBe('unknown');
  });
});

describe('decideHeartbeat()', () => {
  test('believes a spent link only when it is proven', () => {
    expect(decideHeartbeat('spent', 'fresh', false)).toBe('unknown');
    expect(decideHeartbeat('spent', 'fresh', true)).toBe('fork');
  });

  test('refuses what is unproven, unknown or stale', () => {
    expect(decideHeartbeat('confirmed', 'fresh', false)).toBe('unknown');
    expect(decideHeartbeat('unknown', 'fresh', true)).toBe('unknown');
    expect(decideHeartbeat('confirmed', 'repeated', true)).toBe('stale');
  });

  test('finds a client alive on its confirmed or its pending link', () => {
    expect(decideHeartbeat('confirmed', 'fresh', true)).toBe('alive');
    expect(decideHeartbeat('pending', 'fresh', true)).toBe('alive');
  });
});

/** One host: what its disk holds, and where it is in an exchange. */
interface Host {
  name: 'A' | 'B';
  current: number;
  next: number | null;
  phase: 'idle' | 'opening' | 'stored' | 'releasing';
  stamp: number;
  session: number | null;
  inbox: Reply[];
}

interface Message {
  kind: 'open' | 'release' | 'heartbeat';
  from: 'A' | 'B';
  link: number;
  session: number | null;
  time: number;
}

interface Reply {
  kind: 'next' | 'key';
  to: 'A' | 'B';
  link: number;
  session: number;
  stamp: number;
}

type Step =
  | { do: 'act' | 'beat' | 'crash'; host: 'A' | 'B' }
  | { do: 'deliver' | 'drop' | 'duplicate'; at: number }
  | { do: 'answer' | 'lose'; host: 'A' | 'B' }
  | { do: 'restart' }
  | { do: 'copy' };

/** Both sides and a line that loses, doubles and reorders; judged by the functions under test. */
class World {
  chain: ChainCounters = promoted(1, issuedOne({ issued: 0, confirmed: 0, spentTo: 0 }));
  lastTime = 0;
  sessions = new Map<number, number>();
  newest = 0;
  clock = 0;
  line: Message[] = [];
  hosts: Host[] = [{ name: 'A', current: 1, next: null, phase: 'idle', stamp: 0, session: null, inbox: [] }];
  keyToCopy = false;
  verdicts: { from: 'A' | 'B'; verdict: string; afterCopyGotKey: boolean }[] = [];

  step(step: Step): void {
    if (step.do === 'copy') this.copy();
    else if (step.do === 'restart') this.sessions.clear();
    else if ('at' in step) this.network(step.do, step.at);
    else for (const host of this.hosts) if (host.name === step.host) this.move(host, step);
  }

  move(host: Host, step: Step): void {
    if (step.do === 'act') this.act(host);
    if (step.do === 'beat') this.send(host, 'heartbeat', host.next ?? host.current);
    if (step.do === 'crash') Object.assign(host, { phase: 'idle', inbox: [], session: null });
    if (step.do === 'lose') host.inbox.shift();
    if (step.do === 'answer') this.answer(host);
  }

  copy(): void {
    const original = this.hosts[0];
    if (this.hosts.length > 1 || original === undefined) return;
    const { current, next } = original;
    this.hosts.push({ name: 'B', current, next, phase: 'idle', stamp: 0, session: null, inbox: [] });
  }

  send(host: Host, kind: Message['kind'], link: number): void {
    this.clock += 1;
    if (kind !== 'heartbeat') host.stamp = this.clock;
    this.line.push({ kind, from: host.name, link, session: host.session, time: this.clock });
  }

  act(host: Host): void {
    if (host.phase === 'idle') {
      this.send(host, 'open', host.next ?? host.current);
      host.phase = 'opening';
    } else if (host.phase === 'stored' && host.next !== null) {
      this.send(host, 'release', host.next);
      host.phase = 'releasing';
    }
  }

  answer(host: Host): void {
    const reply = host.inbox.shift();
    if (reply === undefined || reply.stamp !== host.stamp) return;
    if (reply.kind === 'next' && host.phase === 'opening') {
      if (host.next !== null) host.current = host.next;
      Object.assign(host, { next: reply.link, session: reply.session, phase: 'stored' });
    } else if (reply.kind === 'key' && host.phase === 'releasing' && host.next !== null) {
      Object.assign(host, { current: host.next, next: null, phase: 'idle', session: null });
    }
  }

  network(what: 'deliver' | 'drop' | 'duplicate', at: number): void {
    const index = this.line.length === 0 ? -1 : at % this.line.length;
    const message = this.line[index];
    if (message === undefined) return;
    if (what === 'duplicate') {
      this.line.push(message);
      return;
    }
    this.line.splice(index, 1);
    if (what === 'deliver') this.judge(message);
  }

  judge(message: Message): void {
    const fresh = freshness(message.time, this.lastTime, message.time);
    const standing = standingOf(message.link, this.chain);
    const afterCopyGotKey = this.keyToCopy;
    let verdict: string;
    if (message.kind === 'open') verdict = decideOpen(standing, fresh);
    else if (message.kind === 'heartbeat') verdict = decideHeartbeat(standing, fresh, true);
    else verdict = decideRelease(standing, fresh, this.sessions.get(message.session ?? -1) === message.link);
    this.verdicts.push({ from: message.from, verdict, afterCopyGotKey });
    if (fresh === 'fresh') this.lastTime = message.time;
    if (verdict === 'issue' || verdict === 'promote-and-issue') this.issue(message, verdict);
    if (verdict === 'release') {
      this.chain = promoted(message.link, this.chain);
      this.sessions.delete(message.session ?? -1);
      if (message.from === 'B') this.keyToCopy = true;
      this.reply({ kind: 'key', to: message.from, link: message.link, session: 0, stamp: message.time });
    }
  }

  issue(message: Message, verdict: string): void {
    this.chain = issuedOne(verdict === 'issue' ? this.chain : promoted(message.link, this.chain));
    this.newest += 1;
    this.sessions.set(this.newest, this.chain.issued);
    const { issued } = this.chain;
    this.reply({ kind: 'next', to: message.from, link: issued, session: this.newest, stamp: message.time });
  }

  reply(reply: Reply): void {
    this.hosts.find(({ name }) => name === reply.to)?.inbox.push(reply);
  }
}

const host = fc.constantFrom<'A' | 'B'>('A', 'B');
const alone = fc.constant<'A'>('A');
const at = fc.nat({ max: 5 });

function steps(who: fc.Arbitrary<'A' | 'B'>, more: fc.Arbitrary<Step>[]): fc.Arbitrary<Step[]> {
  const toHost = (name: 'act' | 'beat' | 'crash' | 'answer' | 'lose') =>
    who.map((which): Step => ({ do: name, host: which }));
  const onLine = (name: 'deliver' | 'drop' | 'duplicate') => at.map((index): Step => ({ do: name, at: index }));
  const often = [toHost('act'), onLine('deliver'), toHost('answer')].map((arbitrary) => ({ arbitrary, weight: 6 }));
  const seldom = [toHost('beat'), toHost('crash'), toHost('lose'), onLine('drop'), onLine('duplicate'), ...more];
  const restart = fc.constant<Step>({ do: 'restart' });
  return fc.array(fc.oneof(...often, ...[...seldom, restart].map((arbitrary) => ({ arbitrary, weight: 1 }))), {
    minLength: 30,
    maxLength: 160,
  });
}

describe('the chain against a line that loses, doubles and reorders, with crashes on both sides', () => {
  test('never calls an honest client alone a fork, and never loses it', () => {
    let releases = 0;
    fc.assert(
      fc.property(steps(alone, []), (plan) => {
        const world = new World();
        for (const step of plan) world.step(step);
        const verdicts = world.verdicts.map(({ verdict }) => verdict);
        releases += verdicts.filter((verdict) => verdict === 'release').length;
        expect(verdicts).not.toContain('fork');
        expect(verdicts).not.toContain('unknown');
      }),
      { numRuns: 3000 },
    );
    expect(releases).toBeGreaterThan(1000); // the plans get somewhere
  });

  test('takes the next message of the honest host for a fork once a copy of its disk had a release', () => {
    let seen = 0;
    fc.assert(
      fc.property(steps(host, [fc.constant<Step>({ do: 'copy' })]), (plan) => {
        const world = new World();
        for (const step of plan) world.step(step);
        const after = world.verdicts.filter((entry) => entry.afterCopyGotKey && entry.from === 'A');
        const judged = after.filter(({ verdict }) => verdict !== 'stale');
        seen += judged.length;
        expect(judged.every(({ verdict }) => verdict === 'fork')).toBe(true);
      }),
      { numRuns: 6000 },
    );
    expect(seen).toBeGreaterThan(100);
  });
});

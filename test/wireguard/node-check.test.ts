import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CheckRules, type CheckSight, decideCheck, pauseAfter } from '../../wireguard/node/check.ts';
import { type CheckNotice, type CheckState, NO_CHECK_YET } from '../../wireguard/node/check-state.ts';

const NOW = 1_700_000_000_000;
const MINUTE = 60_000;
const URL = 'https://10.8.0.1:8443';
const KEY = `${'K'.repeat(43)}=`;
const OTHER = `${'O'.repeat(43)}=`;
const RULES: CheckRules = {
  tellers: ['command'],
  warning: 180,
  critical: 300,
  badRounds: 3,
  goodRounds: 2,
  eachPeer: false,
  restarts: true,
};

const peer = (lastHandshake: number | null, publicKey = KEY) => ({ publicKey, lastHandshake });
const up = (...peers: ReturnType<typeof peer>[]): CheckSight => {
  return { interfaces: [{ name: 'wg0', isUp: true, peers }], keyservers: [] };
};
const down: CheckSight = { interfaces: [{ name: 'wg0', isUp: false, peers: [] }], keyservers: [] };
const keyserver = (fault: string | null): CheckSight => ({ interfaces: [], keyservers: [{ url: URL, fault }] });
const silent = keyserver('does not answer');
const well = keyserver(null);

interface Round {
  readonly sight: CheckSight;
  readonly at: number;
}

/** Rounds one after the other; each state goes through the file's own spelling, as when a machine restarts between them. */
function rounds(all: readonly Round[], rules: CheckRules = RULES, before: CheckState = NO_CHECK_YET) {
  let state = before;
  const told: string[] = [];
  const restarts: number[] = [];
  for (const { sight, at } of all) {
    const decision = decideCheck(state, sight, rules, at);
    state = JSON.parse(JSON.stringify(decision.state));
    told.push(...decision.notices.map(word));
    if (decision.restart.length > 0) restarts.push((at - NOW) / MINUTE);
  }
  return { state, told, restarts };
}

const word = ({ event, over }: CheckNotice): string => `${event}${over ? ' over' : ''}`;
const eachMinute = (sights: readonly CheckSight[]): Round[] =>
  sights.map((sight, i) => ({ sight, at: NOW + i * MINUTE }));

describe('decideCheck() of handshakes', () => {
  it.each<[string, number | null, string]>([
    ['179.999 s old is good', NOW - 179_999, 'ok'],
    ['180 s old is late', NOW - 180_000, 'warning'],
    ['299.999 s old is late', NOW - 299_999, 'warning'],
    ['300 s old is stale', NOW - 300_000, 'critical'],
    ['never made is stale', null, 'critical'],
    ['a moment ahead is good', NOW + 5_000, 'ok'],
  ])('one that is %s', (_, last, level) => {
    const { findings } = decideCheck(NO_CHECK_YET, up(peer(last)), RULES, NOW);
    expect(findings.map((one) => [one.event, one.level])).toEqual([
      ['interface_down', 'ok'],
      ['handshake_stale', level],
    ]);
  });

  it('goes by the newest one of an interface, and by each one when told so', () => {
    const sight = up(peer(null), peer(NOW - 10_000, OTHER));
    const levels = (rules: CheckRules) =>
      decideCheck(NO_CHECK_YET, sight, rules, NOW).findings.map(({ topic, level }) => [topic, level]);
    expect(levels(RULES)).toEqual([
      ['down wg0', 'ok'],
      ['silent wg0', 'ok'],
    ]);
    expect(levels({ ...RULES, eachPeer: true })).toEqual([
      ['down wg0', 'ok'],
      [`silent wg0 ${KEY}`, 'critical'],
      [`silent wg0 ${OTHER}`, 'ok'],
    ]);
  });

  it('finds nothing wrong with an interface that has no peers', () => {
    const { findings } = decideCheck(NO_CHECK_YET, up(), RULES, NOW);
    expect(findings).toMatchObject([{ level: 'ok', said: 'wg0 is up, without peers' }]);
  });

  it('says nothing of peers while their interface is down, and forgets nothing of them', () => {
    const stale = up(peer(null));
    const { told, state } = rounds(eachMinute([stale, stale, down, down]));
    expect(told).toEqual([]);
    expect(state.topics['silent wg0']).toEqual({ bad: 2, good: 0, toldAt: null });
    const next = decideCheck(state, stale, RULES, NOW + 4 * MINUTE);
    expect(next.notices.map(word)).toEqual(['handshake_stale']);
  });

  it('keeps what is known of each peer while the interface is down', () => {
    const rules = { ...RULES, eachPeer: true };
    const { state } = rounds(eachMinute([up(peer(null), peer(NOW, OTHER)), down]), rules);
    expect(Object.keys(state.topics).sort()).toEqual(['down wg0', `silent wg0 ${KEY}`, `silent wg0 ${OTHER}`]);
  });

  it('leaves what was told as it is while a handshake is late and no more', () => {
    const late = (at: number) => up(peer(at - 200_000));
    const stale = (at: number) => up(peer(at - 400_000));
    const fresh = (at: number) => up(peer(at));
    const series = (...ways: ((at: number) => CheckSight)[]) => eachMinute(ways.map((way, i) => way(NOW + i * MINUTE)));
    expect(rounds(series(late, late, late, late)).told).toEqual([]);
    expect(rounds(series(stale, late, stale, late, stale)).told).toEqual(['handshake_stale']);
    expect(rounds(series(stale, stale, stale, late, late, late)).told).toEqual(['handshake_stale']);
    expect(rounds(series(stale, stale, stale, fresh, late, fresh)).told).toEqual([
      'handshake_stale',
      'handshake_stale over',
    ]);
  });
});

describe('decideCheck() of what somebody is told', () => {
  it('speaks with the third bad round and not before, and once', () => {
    expect(rounds(eachMinute([silent, silent])).told).toEqual([]);
    expect(rounds(eachMinute([silent, silent, silent])).told).toEqual(['keyserver_silent']);
    expect(rounds(eachMinute(Array(50).fill(silent))).told).toEqual(['keyserver_silent']);
  });

  it('says that it is over with the second good round and not before, and once', () => {
    const bad = [silent, silent, silent];
    expect(rounds(eachMinute([...bad, well])).told).toEqual(['keyserver_silent']);
    const { state, told } = rounds(eachMinute([...bad, well, well, well, well]));
    expect(told).toEqual(['keyserver_silent', 'keyserver_silent over']);
    expect(state.waiting.at(-1)).toMatchObject({ over: true, lasted: 2 * MINUTE, subject: URL });
  });

  it('never speaks of what was never bad', () => {
    expect(rounds(eachMinute(Array(20).fill(well))).told).toEqual([]);
  });

  it('is silent about what comes and goes, in either state', () => {
    const flapping = Array.from({ length: 40 }, (_, i) => (i % 3 === 2 ? well : silent));
    expect(rounds(eachMinute(flapping)).told).toEqual([]);
    const afterwards = Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? well : silent));
    expect(rounds(eachMinute([silent, silent, silent, ...afterwards])).told).toEqual(['keyserver_silent']);
  });

  it('speaks at once, each way, with one round of each', () => {
    const rules = { ...RULES, badRounds: 1, goodRounds: 1 };
    expect(rounds(eachMinute([silent, well, silent]), rules).told).toEqual([
      'keyserver_silent',
      'keyserver_silent over',
      'keyserver_silent',
    ]);
  });

  it('speaks of each thing for itself', () => {
    const both = { interfaces: down.interfaces, keyservers: silent.keyservers };
    expect(rounds(eachMinute([silent, both, both, both])).told).toEqual(['keyserver_silent', 'interface_down']);
  });

  it('forgets what is looked at no more', () => {
    const { state } = rounds(eachMinute([silent, silent, silent, up(peer(NOW))]));
    expect(Object.keys(state.topics)).toEqual(['down wg0', 'silent wg0']);
  });

  it('never tells of a time below nothing when the clock is set back in between', () => {
    const { state } = rounds([
      ...eachMinute([silent, silent, silent]),
      { sight: well, at: NOW - 99 * MINUTE },
      { sight: well, at: NOW - 98 * MINUTE },
    ]);
    expect(state.waiting.at(-1)).toMatchObject({ over: true, lasted: 0 });
  });

  it('keeps what waits, in order, and not without end', () => {
    const rules = { ...RULES, badRounds: 1, goodRounds: 1 };
    const { state } = rounds(eachMinute(Array.from({ length: 300 }, (_, i) => (i % 2 === 0 ? silent : well))), rules);
    expect(state.waiting).toHaveLength(100);
    expect(state.waiting.map(({ at }) => at)).toEqual([...state.waiting.map(({ at }) => at)].sort());
    expect(state.waiting.at(-1)?.at).toBe(NOW + 299 * MINUTE);
    expect(new Set(state.waiting.map(({ id }) => id)).size).toBe(100);
  });

  it('whatever happens, tells begin and end in turns, after that many rounds in a row', () => {
    const order = fc.record({
      seen: fc.array(fc.boolean(), { maxLength: 60 }),
      badRounds: fc.integer({ min: 1, max: 5 }),
      goodRounds: fc.integer({ min: 1, max: 5 }),
      jumps: fc.array(fc.integer({ min: -1e9, max: 1e9 }), { minLength: 60, maxLength: 60 }),
    });
    fc.assert(
      fc.property(order, ({ seen, badRounds, goodRounds, jumps }) => {
        const told: boolean[] = [];
        let [state, isTold] = [NO_CHECK_YET, false];
        for (const [i, isGood] of seen.entries()) {
          const sight = isGood ? well : silent;
          const decision = decideCheck(state, sight, { ...RULES, badRounds, goodRounds }, NOW + (jumps[i] ?? 0));
          state = decision.state;
          const needed = isTold ? goodRounds : badRounds;
          const last = seen.slice(0, i + 1).slice(-needed);
          const isDue = last.length === needed && last.every((one) => one === isTold);
          expect(decision.notices.map(({ over }) => over)).toEqual(isDue ? [isTold] : []);
          if (isDue) isTold = !isTold;
          told.push(...decision.notices.map(({ over }) => over));
        }
        expect(told).toEqual(told.map((_, i) => i % 2 === 1));
      }),
      { numRuns: 200 },
    );
  });
});

describe('decideCheck() of restarts', () => {
  it('restarts an interface that is down in the same round', () => {
    expect(decideCheck(NO_CHECK_YET, down, RULES, NOW)).toMatchObject({
      restart: ['wg0'],
      state: { restarts: { wg0: { attempts: 1, at: NOW, upSince: null } } },
    });
  });

  it('restarts none that is up, however silent, and none when told not to', () => {
    expect(decideCheck(NO_CHECK_YET, up(peer(null)), RULES, NOW).restart).toEqual([]);
    const decision = decideCheck(NO_CHECK_YET, down, { ...RULES, restarts: false }, NOW);
    expect([decision.restart, decision.state.restarts]).toEqual([[], {}]);
  });

  it('restarts less and less often what does not come up, down to once an hour', () => {
    const { restarts } = rounds(eachMinute(Array(400).fill(down)));
    expect(restarts).toEqual([0, 2, 6, 14, 30, 62, 122, 182, 242, 302, 362]);
    expect([1, 2, 6, 7, 999].map((attempts) => pauseAfter(attempts) / MINUTE)).toEqual([2, 4, 60, 60, 60]);
  });

  it('waits to the end of the pause: a second before it is too early', () => {
    const { state } = rounds([{ sight: down, at: NOW }]);
    expect(decideCheck(state, down, RULES, NOW + 2 * MINUTE - 1000).restart).toEqual([]);
    expect(decideCheck(state, down, RULES, NOW + 2 * MINUTE).restart).toEqual(['wg0']);
  });

  it('counts a restart that died in its middle, since it is remembered before', () => {
    const { state } = decideCheck(NO_CHECK_YET, down, RULES, NOW);
    expect(decideCheck(state, down, RULES, NOW + MINUTE).restart).toEqual([]);
  });

  it('does not become eager again because it came up for a while', () => {
    const flapping = Array.from({ length: 60 }, (_, i) => (i % 4 === 0 ? down : up(peer(NOW + i * MINUTE))));
    expect(rounds(eachMinute(flapping)).restarts).toEqual([0, 4, 8, 16, 32]);
  });

  it('forgets restarts once the interface stood for a quarter of an hour, and not a minute before', () => {
    const stood = (minutes: number): Round[] =>
      eachMinute([down, ...Array.from({ length: minutes + 1 }, (_, i) => up(peer(NOW + (i + 1) * MINUTE)))]);
    expect(rounds(stood(14)).state.restarts.wg0).toMatchObject({ attempts: 1, upSince: NOW + MINUTE });
    expect(rounds(stood(15)).state.restarts).toEqual({});
  });

  it('waits for no longer than the pause when the clock is set back, and is not hasty either', () => {
    const { state } = rounds([{ sight: down, at: NOW }]);
    const past = NOW - 5_000 * MINUTE;
    const back = decideCheck(state, down, RULES, past);
    expect(back.restart).toEqual([]);
    expect(decideCheck(back.state, down, RULES, past + 2 * MINUTE - 1).restart).toEqual([]);
    expect(decideCheck(back.state, down, RULES, past + 2 * MINUTE).restart).toEqual(['wg0']);
  });

  it('lets an interface stand for no longer when the clock is set back while it is up', () => {
    const { state } = rounds(eachMinute([down, up(), up()]));
    const past = NOW - 5_000 * MINUTE;
    const back = decideCheck(state, up(), RULES, past);
    expect(back.state.restarts.wg0).toMatchObject({ attempts: 1, upSince: past });
    expect(decideCheck(back.state, up(), RULES, past + 15 * MINUTE).state.restarts).toEqual({});
  });

  it('treats each interface for itself', () => {
    const wg1 = { name: 'wg1', isUp: false, peers: [] };
    const { state } = rounds([{ sight: down, at: NOW }]);
    const next = decideCheck(state, { interfaces: [...down.interfaces, wg1], keyservers: [] }, RULES, NOW + MINUTE);
    expect(next.restart).toEqual(['wg1']);
  });
});

describe('decideCheck() when the clock was set back', () => {
  const HOUR = 60 * MINUTE;
  it('finds a peer silent that never shook hands again, though its handshake is of a time to come', () => {
    const sight = up(peer(NOW + HOUR));
    const ages = Array.from({ length: 6 }, (_, i) => i);
    let state = NO_CHECK_YET;
    const levels = ages.map((i) => {
      const decision = decideCheck(state, sight, RULES, NOW + i * MINUTE);
      state = decision.state;
      return decision.findings.at(-1)?.level;
    });
    expect(levels).toEqual(['ok', 'ok', 'ok', 'warning', 'warning', 'critical']);
  });

  it('finds a peer well that shakes hands again', () => {
    const before = rounds([{ sight: up(peer(NOW + HOUR)), at: NOW }]).state;
    const { findings, state } = decideCheck(before, up(peer(NOW + 9 * MINUTE)), RULES, NOW + 9 * MINUTE);
    expect(findings.at(-1)).toMatchObject({ level: 'ok', age: 0 });
    expect(state.handshakes).toEqual({});
  });

  it('reckons anew when it is set back once more', () => {
    const sight = up(peer(NOW + HOUR));
    const before = rounds([{ sight, at: NOW }]).state;
    const again = decideCheck(before, sight, RULES, NOW - HOUR);
    expect(again.findings.at(-1)).toMatchObject({ level: 'ok', age: 0 });
    expect(decideCheck(again.state, sight, RULES, NOW - HOUR + 5 * MINUTE).findings.at(-1)?.level).toBe('critical');
  });
});

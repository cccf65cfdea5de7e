import { describe, expect, test } from 'vitest';
import type { Client } from '../../keyserver/clients/client.ts';
import type { CallKind, Gate, GateRequest, GateState } from '../../keyserver/gate.ts';
import { gates, judge } from '../../keyserver/judgement.ts';
import { gatePolicyOf, type Overrides, presets } from '../../keyserver/policy/policy.ts';
import { type Pulse, stillPulse } from '../../keyserver/pulse.ts';
import { sha256 } from '../../platform/encoding.ts';
import { totpCodes } from '../../platform/totp.ts';

const tokenHash = sha256('the token');
const now = 59_000;
const codes = totpCodes(Buffer.from('12345678901234567890'), now);
const calls: readonly CallKind[] = ['open', 'release', 'heartbeat', 'key', 'store'];
const print = 'a'.repeat(64);
const bootId = '6f1b7a52-0000-4000-8000-0123456789ab';

/** A client that has been enrolled for long and is heard all the time. */
const pulse: Pulse = {
  ...stillPulse,
  bootId,
  settledAt: -1e9,
  presentAt: now - 60_000,
  releasedBootId: bootId,
  fingerprints: { web: print, command: print },
};

const client: Client = {
  id: 'lk-1',
  name: 'cloud',
  state: 'enrolled',
  tokenHash,
  totpSealed: Buffer.from('sealed'),
  basic: true,
  networks: ['10.8.0.0/24', 'fd42::/64'],
  rate: { perHour: 60, burst: 30, lockout: true },
  policy: { ttl: 3600, staleIfError: 86_400 },
  forkPolicy: 'lock+purge',
  gates: presets.balanced,
  killed: false,
  certificate: { policy: 'auto', since: null },
};

function request(kind: CallKind, change: Partial<GateRequest> = {}): GateRequest {
  const machine = kind === 'open' ? { fingerprint: print, bootId, reason: 'expired' } : basicOnly(kind);
  return { kind, source: '10.8.0.2', tokenHash, totp: '287082', certificate: null, machine, now, ...change };
}

function basicOnly(kind: CallKind): GateRequest['machine'] {
  return kind === 'key' ? { fingerprint: null, bootId: null, reason: 'basic' } : null;
}

function state(kind: CallKind, change: Partial<GateState> = {}): GateState {
  const standing = kind === 'release' ? 'pending' : 'confirmed';
  return {
    sealed: false,
    killed: false,
    client,
    rate: { allowed: true, retryAfter: 0, bound: null },
    totp: { codes, lastStep: -1 },
    certificate: null,
    chain: { standing, fresh: 'fresh', apart: false, sessionHolds: true, proven: true },
    pulse,
    ownGaps: [],
    approved: [],
    ...change,
  };
}

function verdict(kind: CallKind, change: Partial<GateState> = {}, asked: Partial<GateRequest> = {}) {
  const { refusal } = judge(request(kind, asked), state(kind, change));
  return refusal === null ? 'pass' : `${refusal.gate}: ${refusal.code}${refusal.reason ? ` (${refusal.reason})` : ''}`;
}

const order = [
  ...['seal', 'kill', 'source', 'rate', 'token', 'totp', 'certificate', 'chain'],
  ...['fingerprint', 'presence', 'habit', 'schedule', 'approval'],
];

test.each(calls)('%s passes every gate in order when nothing is wrong', (kind) => {
  const { refusal, verdicts } = judge(request(kind), state(kind));
  expect(refusal).toBeNull();
  expect(Object.keys(verdicts)).toEqual(order);
  expect(new Set(Object.values(verdicts))).toEqual(new Set(['pass']));
});

describe('seal', () => {
  test.each(calls)('refuses %s', (kind) => expect(verdict(kind, { sealed: true })).toBe('seal: sealed'));
});

describe('kill', () => {
  test.each(calls)('of the whole server stops %s, but for heartbeats', (kind) => {
    expect(verdict(kind, { killed: true })).toBe(kind === 'heartbeat' ? 'pass' : 'kill: killed');
  });

  test.each(calls)('of the client stops %s, but for heartbeats', (kind) => {
    const killed = { client: { ...client, killed: true } };
    expect(verdict(kind, killed)).toBe(kind === 'heartbeat' ? 'pass' : 'kill: locked (killed)');
  });
});

describe('source', () => {
  test.each(['10.8.1.2', '127.0.0.1', 'fd43::1', '::ffff:10.8.1.2', '', 'nonsense', '10.8.0.2.'])(
    'refuses %s',
    (source) => expect(verdict('open', {}, { source })).toMatch(/^source: source_refused/),
  );

  test.each(['10.8.0.255', 'fd42::9', '::ffff:10.8.0.2'])('passes %s', (source) => {
    expect(verdict('open', {}, { source })).toBe('pass');
  });

  test('refuses everybody when the client has no network', () => {
    expect(verdict('open', { client: { ...client, networks: [] } })).toMatch(/^source/);
    expect(verdict('open', { client: { ...client, networks: ['rubbish'] } })).toMatch(/^source/);
  });
});

describe('rate', () => {
  test('refuses with the time to wait', () => {
    const tired = { rate: { allowed: false, retryAfter: 7, bound: 'lockout' as const } };
    expect(judge(request('open'), state('open', tired)).refusal).toMatchObject({
      gate: 'rate',
      code: 'rate_limited',
      reason: 'lockout',
      retryAfter: 7,
    });
  });
});

describe('token', () => {
  test.each(calls)('refuses %s with a wrong token', (kind) => {
    expect(verdict(kind, {}, { tokenHash: sha256('other') })).toBe('token: unauthorized (wrong token)');
  });

  test('refuses an unknown client, and one that has no token yet, even for a token that hashes to zeros', () => {
    const zeros = { tokenHash: Buffer.alloc(32) };
    expect(verdict('open', { client: null }, zeros)).toBe('token: unauthorized (unknown client)');
    expect(verdict('open', { client: { ...client, tokenHash: null } }, zeros)).toBe(
      'token: unauthorized (wrong token)',
    );
  });
});

describe('totp', () => {
  test.each(['open', 'key'] as const)('refuses %s without a code or with a wrong one', (kind) => {
    expect(verdict(kind, {}, { totp: null })).toBe('totp: unauthorized (no totp code)');
    expect(verdict(kind, {}, { totp: '000000' })).toBe('totp: unauthorized (wrong or used totp code)');
  });

  test('takes a code again in the chained profile, and not in the basic one', () => {
    const used = { totp: { codes, lastStep: 1 } };
    expect(verdict('open', used)).toBe('pass');
    expect(verdict('key', used)).toMatch(/^totp/);
  });

  test('tells whose clock is apart that it is, and not that the code is wrong; no code stays no code', () => {
    const apart = {
      chain: { standing: 'confirmed', fresh: 'skewed', apart: true, sessionHolds: false, proven: false },
    } as const;
    expect(verdict('open', apart, { totp: '000000' })).toBe('totp: stale_message (skewed)');
    expect(verdict('open', apart, { totp: null })).toBe('totp: unauthorized (no totp code)');
  });

  test('refuses everything when the secret could not be opened', () => {
    expect(verdict('open', { totp: { codes: [], lastStep: -1 } })).toMatch(/^totp/);
  });

  test('asks nothing of a client without a secret, nor of the calls that carry no code', () => {
    expect(verdict('open', { totp: { codes: null, lastStep: -1 } }, { totp: null })).toBe('pass');
    for (const kind of ['release', 'heartbeat', 'store'] as const) {
      expect(verdict(kind, {}, { totp: null })).toBe('pass');
    }
  });
});

describe('chain', () => {
  const chain = (change: Partial<GateState['chain']>) => ({
    chain: {
      standing: 'confirmed',
      fresh: 'fresh',
      apart: false,
      sessionHolds: true,
      proven: true,
      ...change,
    } as const,
  });

  test.each(['open', 'release', 'heartbeat'] as const)(
    'tells a fork from an unknown link and a stale message: %s',
    (kind) => {
      expect(verdict(kind, chain({ standing: 'spent' }))).toBe('chain: locked (fork)');
      expect(verdict(kind, chain({ standing: 'unknown' }))).toBe('chain: unauthorized (unknown link)');
      expect(verdict(kind, chain({ standing: 'spent', fresh: 'repeated' }))).toBe('chain: stale_message (repeated)');
      expect(verdict(kind, chain({ standing: 'spent', fresh: 'skewed' }))).toBe('chain: stale_message (skewed)');
    },
  );

  test('holds release to its session', () => {
    expect(verdict('release', chain({ standing: 'pending', sessionHolds: false }))).toBe(
      'chain: stale_message (session)',
    );
  });

  test.each([
    ['locked', 'fork'],
    ['revoked', 'revoked'],
  ] as const)('closes a %s client, but for its heartbeats', (closed, reason) => {
    for (const kind of calls) {
      const expected = kind === 'heartbeat' ? 'pass' : `chain: locked (${reason})`;
      expect(verdict(kind, { client: { ...client, state: closed } })).toBe(expected);
    }
  });

  test('opens GET /key only to a client for whom it was enabled', () => {
    expect(verdict('key', { client: { ...client, basic: false } })).toBe('chain: basic_disabled');
  });
});

/** The client under these overrides. */
function under(overrides: Overrides): Client {
  return { ...client, gates: gatePolicyOf(JSON.stringify(overrides)) };
}

/** What becomes of an open (or another call) of that client: the gate's word, or the refusal. */
function said(
  gate: string,
  overrides: Overrides,
  known: Partial<Pulse>,
  machine: Partial<NonNullable<GateRequest['machine']>> = {},
  more: Partial<GateState> & { readonly at?: number; readonly kind?: CallKind } = {},
): string {
  const { at = now, kind = 'open', ...change } = more;
  const base = { fingerprint: print, bootId, reason: 'expired' };
  const asked = request(kind, { now: at, ...(kind === 'open' && { machine: { ...base, ...machine } }) });
  const { verdicts, refusal } = judge(
    asked,
    state(kind, { client: under(overrides), pulse: { ...pulse, ...known }, ...change }),
  );
  const word = verdicts[gate] ?? 'not asked';
  return refusal !== null && refusal.gate === gate ? `${word}: ${refusal.reason}` : word;
}

describe('fingerprint', () => {
  const differs = { fingerprint: 'b'.repeat(64) };

  test.each([
    ['strict', 'fingerprint_refused: another fingerprint'],
    ['balanced', 'approval_pending: another fingerprint'],
    ['relaxed', 'alert'],
  ] as const)('under %s another one is: %s', (preset, word) => {
    expect(said('fingerprint', { preset }, {}, differs)).toBe(word);
  });

  test('holds a client that has ceased to send one, and passes one that never did', () => {
    expect(said('fingerprint', {}, {}, { fingerprint: null })).toBe('approval_pending: no fingerprint any more');
    expect(said('fingerprint', {}, { fingerprints: { web: 'none', command: null } }, { fingerprint: null })).toBe(
      'pass',
    );
  });

  test('passes the enrolled one, the first one, and where it is off any', () => {
    expect(said('fingerprint', { preset: 'strict' }, {})).toBe('pass');
    expect(said('fingerprint', { preset: 'strict' }, { fingerprints: { web: null, command: null } }, differs)).toBe(
      'pass',
    );
    expect(said('fingerprint', { fingerprint: 'off' }, {}, differs)).toBe('pass');
  });
});

describe('presence', () => {
  const gone = { presentAt: now - 600_001 };
  const away = { absence: { since: 1, until: 2, kind: 'away' } as const };
  const own = { absence: { since: 1, until: 2, kind: 'own' } as const };

  test.each([
    ['strict', 'approval_pending: away', 'approval_pending: away with the key server'],
    ['balanced', 'approval_pending: away', 'alert'],
    ['relaxed', 'alert', 'alert'],
  ] as const)('under %s an absence is: %s; the key server’s own: %s', (preset, word, ownWord) => {
    expect(said('presence', { preset }, gone)).toBe(word);
    expect(said('presence', { preset }, away)).toBe(word);
    expect(said('presence', { preset }, own)).toBe(ownWord);
    const ownGaps = [{ since: now - 600_001, until: now - 1 }];
    expect(said('presence', { preset }, gone, {}, { ownGaps })).toBe(ownWord);
    expect(said('presence', { preset }, gone, { bootId: print }, { ownGaps })).toBe(word);
  });

  test('holds for an absence of the past although heartbeats came since', () => {
    expect(said('presence', {}, { ...away, presentAt: now })).toBe('approval_pending: away');
  });

  test('goes by the absence the owner allows', () => {
    expect(said('presence', { absence: 601 }, gone)).toBe('pass');
    expect(said('presence', {}, { presentAt: now - 600_000 })).toBe('pass');
    expect(said('presence', { presence: 'off' }, { ...gone, ...away })).toBe('pass');
  });

  test('holds the basic profile for an absence as well', () => {
    expect(said('presence', {}, gone, {}, { kind: 'key' })).toBe('approval_pending: away');
  });

  test.each([
    ['strict', 'approval_pending: no heartbeat ever'],
    ['balanced', 'alert'],
    ['relaxed', 'pass'],
  ] as const)('under %s a client that never sent a heartbeat is: %s', (preset, word) => {
    expect(said('presence', { preset }, { presentAt: null })).toBe(word);
    expect(said('presence', { preset }, { presentAt: null, settledAt: now + 1 })).toBe('pass');
    expect(said('presence', { preset }, { presentAt: null, settledAt: null })).toBe('pass');
    expect(said('presence', { preset, approval: 'held' }, { presentAt: null }, {}, { kind: 'key' })).toBe('pass');
  });
});

describe('habit', () => {
  const habits = JSON.stringify([now - 1e9, now - 60_000, 1000, 1000, 7000]);

  test.each([
    ['strict', 'approval_pending: cold fetches that nothing explains'],
    ['balanced', 'alert'],
    ['relaxed', 'alert'],
  ] as const)('under %s a cold fetch too many is: %s', (preset, word) => {
    expect(said('habit', { preset }, { habits }, { reason: 'cold' })).toBe(word);
    expect(said('habit', { preset }, { habits }, { reason: 'cli:cron' })).toBe('pass');
    expect(said('habit', { preset }, { habits: null }, { reason: 'cold' })).toBe('pass');
  });

  test('notices far more fetches than usual', () => {
    const busy = JSON.stringify([now - 1e9, now - 1000, 90_000, 168_000, 0]);
    expect(said('habit', { preset: 'strict' }, { habits: busy })).toBe('approval_pending: far more fetches than usual');
  });
});

describe('schedule', () => {
  const hours = 'UTC thu 00:00-00:01'; // 59 s after 1970 began, on a Thursday

  test.each(['open', 'key'] as const)('refuses %s outside the hours, or holds it', (kind) => {
    const at = 60_000;
    const here = { presentAt: at };
    expect(said('schedule', { schedule: hours }, here, {}, { at, kind, totp: codesAt(at) })).toBe(
      'outside_hours: outside the allowed hours',
    );
    expect(said('schedule', { schedule: hours, outside: 'hold' }, here, {}, { at, kind, totp: codesAt(at) })).toBe(
      'approval_pending: outside the allowed hours',
    );
  });

  test('passes within them, and always when there are none', () => {
    expect(said('schedule', { schedule: hours }, {})).toBe('pass');
    expect(said('schedule', {}, {})).toBe('pass');
  });

  test('leaves calls alone that ask for no key', () => {
    for (const kind of ['heartbeat', 'release', 'store'] as const) {
      expect(said('schedule', { schedule: 'UTC sun 00:00-00:01' }, {}, {}, { kind })).toBe('pass');
    }
  });

  function codesAt(at: number): GateState['totp'] {
    return { codes: totpCodes(Buffer.from('12345678901234567890'), at), lastStep: -1 };
  }
});

describe('approval', () => {
  const boots = { approval: 'every-boot' } as const;

  test('holds a new boot, a call without a boot id, and the basic profile', () => {
    expect(said('approval', boots, {}, { bootId: print })).toBe('approval_pending: a new boot');
    expect(said('approval', boots, {}, { bootId: null })).toBe('approval_pending: no boot id');
    expect(said('approval', boots, {}, {}, { kind: 'key' })).toBe('approval_pending: no boot id');
    expect(said('approval', boots, { releasedBootId: 'none' })).toBe('approval_pending: a new boot');
  });

  test('passes the boot of the last release, and the first release after enrolment', () => {
    expect(said('approval', boots, {})).toBe('pass');
    expect(said('approval', boots, { releasedBootId: null })).toBe('pass');
  });

  test('holds nothing by itself unless it is asked to', () => {
    for (const preset of ['relaxed', 'balanced'] as const)
      expect(said('approval', { preset }, {}, { bootId: print })).toBe('pass');
    expect(said('approval', { preset: 'strict' }, {}, { bootId: print })).toBe('approval_pending: a new boot');
  });
});

describe('judge()', () => {
  function gate(name: string, uniform: boolean, says: 'pass' | 'deny' | 'hold', asked: string[]): Gate {
    return {
      name,
      uniform,
      judge: () => {
        asked.push(name);
        return says === 'pass' ? { verdict: says } : { verdict: says, code: 'unauthorized', reason: name };
      },
    };
  }

  test('lets the first refusal decide and keeps what came behind it to itself', () => {
    const asked: string[] = [];
    const list = [gate('a', true, 'pass', asked), gate('b', true, 'deny', asked), gate('c', true, 'deny', asked)];
    const { refusal, verdicts } = judge(request('open'), state('open'), list);
    expect([refusal?.gate, refusal?.reason]).toEqual(['b', 'b']);
    expect(verdicts).toEqual({ a: 'pass', b: 'unauthorized' });
    expect(asked).toEqual(['a', 'b', 'c']);
  });

  test('asks nobody after a refusal that needs no even time', () => {
    const asked: string[] = [];
    judge(request('open'), state('open'), [gate('a', false, 'deny', asked), gate('b', true, 'pass', asked)]);
    expect(asked).toEqual(['a']);
  });

  test('asks the gates behind one that holds, so that a person is asked once about all of them', () => {
    const list = [gate('a', false, 'hold', []), gate('b', false, 'pass', []), gate('c', false, 'hold', [])];
    const { refusal, holds, verdicts } = judge(request('open'), state('open'), list);
    expect([refusal?.verdict, refusal?.gate]).toEqual(['hold', 'a']);
    expect(holds.map((held) => held.gate)).toEqual(['a', 'c']);
    expect(verdicts.b).toBe('pass');
  });

  test('lets a denial behind a hold decide: nobody is asked about what is refused anyhow', () => {
    const list = [gate('a', false, 'hold', []), gate('b', false, 'deny', []), gate('c', false, 'hold', [])];
    const { refusal } = judge(request('open'), state('open'), list);
    expect([refusal?.verdict, refusal?.gate]).toEqual(['deny', 'b']);
  });

  test('passes by a person’s yes the gates it was for and no other', () => {
    const list = [gate('a', false, 'hold', []), gate('b', false, 'hold', [])];
    const one = judge(request('open'), state('open', { approved: ['a'] }), list);
    expect([one.refusal?.gate, one.verdicts.a]).toEqual(['b', 'approved']);
    expect(judge(request('open'), state('open', { approved: ['a', 'b'] }), list).refusal).toBeNull();
    const denied = judge(request('open'), state('open', { approved: ['a'] }), [gate('a', false, 'deny', [])]);
    expect(denied.refusal?.gate).toBe('a');
  });

  test('asks no gate of its own about a caller who was refused for who it is', () => {
    const asked: string[] = [];
    const list = [gate('a', true, 'deny', asked), gate('b', true, 'pass', asked), gate('c', false, 'hold', asked)];
    judge(request('open'), state('open'), list);
    expect(asked).toEqual(['a', 'b']);
  });

  test('asks every gate of the fixed list once, in this order', () => {
    expect(gates.map(({ name }) => name)).toEqual(order);
  });
});

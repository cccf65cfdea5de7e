import { describe, expect, test } from 'vitest';
import type { Client } from '../../keyserver/client.ts';
import type { CallKind, Gate, GateRequest, GateState } from '../../keyserver/gate.ts';
import { gates, judge } from '../../keyserver/judgement.ts';
import { totpCodes } from '../../keyserver/totp.ts';
import { sha256 } from '../../platform/encoding.ts';

const tokenHash = sha256('the token');
const now = 59_000;
const codes = totpCodes(Buffer.from('12345678901234567890'), now);
const calls: readonly CallKind[] = ['open', 'release', 'heartbeat', 'key', 'store'];

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
  killed: false,
};

function request(kind: CallKind, change: Partial<GateRequest> = {}): GateRequest {
  return { kind, source: '10.8.0.2', tokenHash, totp: '287082', now, ...change };
}

function state(kind: CallKind, change: Partial<GateState> = {}): GateState {
  const standing = kind === 'release' ? 'pending' : 'confirmed';
  return {
    sealed: false,
    killed: false,
    client,
    rate: { allowed: true, retryAfter: 0, bound: null },
    totp: { codes, lastStep: -1 },
    chain: { standing, fresh: 'fresh', sessionHolds: true, proven: true },
    ...change,
  };
}

function verdict(kind: CallKind, change: Partial<GateState> = {}, asked: Partial<GateRequest> = {}) {
  const { refusal } = judge(request(kind, asked), state(kind, change));
  return refusal === null ? 'pass' : `${refusal.gate}: ${refusal.code}${refusal.reason ? ` (${refusal.reason})` : ''}`;
}

test.each(calls)('%s passes every gate in order when nothing is wrong', (kind) => {
  const { refusal, verdicts } = judge(request(kind), state(kind));
  expect(refusal).toBeNull();
  expect(Object.keys(verdicts)).toEqual(['seal', 'kill', 'source', 'rate', 'token', 'totp', 'chain']);
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
    chain: { standing: 'confirmed', fresh: 'fresh', sessionHolds: true, proven: true, ...change } as const,
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

  test('takes a hold for a refusal', () => {
    const { refusal } = judge(request('open'), state('open'), [gate('a', false, 'hold', [])]);
    expect(refusal?.verdict).toBe('hold');
  });

  test('asks every gate of the fixed list once, in this order', () => {
    expect(gates.map(({ name }) => name)).toEqual(['seal', 'kill', 'source', 'rate', 'token', 'totp', 'chain']);
  });
});

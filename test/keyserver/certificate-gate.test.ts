import { describe, expect, test } from 'vitest';
import type { ShownCertificate } from '../../keyserver/certificates/shown.ts';
import type { Client } from '../../keyserver/clients/client.ts';
import type { CallKind, CertificateOnFile, GateRequest, GateState } from '../../keyserver/gate.ts';
import { certificate } from '../../keyserver/gates/certificate.ts';
import { sha256 } from '../../platform/encoding.ts';

const id = `lk-${'0'.repeat(24)}`;
const now = Date.UTC(2026, 10, 20, 12);
const hour = 3_600_000;
const digest = sha256('the certificate');
const calls: readonly CallKind[] = ['open', 'release', 'heartbeat', 'key', 'store', 'certificate'];

const client = {
  id,
  name: 'cloud',
  state: 'enrolled',
  tokenHash: sha256('the token'),
  totpSealed: null,
  basic: true,
  networks: [],
  rate: { perHour: 60, burst: 30, lockout: true },
  policy: { ttl: 3600, staleIfError: 86_400 },
  forkPolicy: 'lock+purge',
  killed: false,
  certificate: { policy: 'auto', since: now - hour },
} as unknown as Client;

const shown: ShownCertificate = {
  serial: '4A00',
  subject: `CN=${id}`,
  digest,
  notBefore: now - hour,
  notAfter: now + hour,
  forClients: true,
  authority: 'CA01',
};

const onFile: CertificateOnFile = { client: id, purpose: 'client', digest, revokedAt: null, usedAt: null };

interface Case {
  readonly kind?: CallKind;
  readonly shown?: Partial<ShownCertificate> | null;
  readonly file?: Partial<CertificateOnFile> | null;
  readonly policy?: Client['certificate']['policy'];
  readonly since?: number | null;
  readonly state?: Client['state'];
}

/** `pass`, or code and reason. Everything is right but for what the case says. */
function verdict(one: Case): string {
  const request = {
    kind: one.kind ?? 'open',
    source: '10.8.0.2',
    tokenHash: new Uint8Array(32),
    totp: null,
    certificate: one.shown === null ? null : { ...shown, ...one.shown },
    now,
  } as GateRequest;
  const { policy = 'auto', since = now - hour } = one;
  const judged = { ...client, state: one.state ?? client.state, certificate: { policy, since } };
  const state = {
    client: judged,
    certificate: one.file === null ? null : { ...onFile, ...one.file },
  } as GateState;
  const { verdict: word, code, reason } = certificate.judge(request, state);
  return word === 'pass' ? 'pass' : `${code}: ${reason}`;
}

describe.each(calls)('on %s the gate refuses', (kind) => {
  test.each<[string, Case]>([
    ['certificate of another authority', { shown: { authority: null } }],
    ['unknown certificate', { file: null }],
    ['unknown certificate', { file: { digest: sha256('another one of the same serial') } }],
    ['unknown certificate', { file: { digest: new Uint8Array(0) } }],
    ['certificate for another purpose', { file: { purpose: 'admin', client: null } }],
    ['certificate for another purpose', { file: { purpose: 'server', client: null }, shown: { forClients: false } }],
    ['certificate for another purpose', { shown: { forClients: false } }],
    ["another client's certificate", { file: { client: 'lk-1' } }],
    ["another client's certificate", { shown: { subject: `CN=lk-${'1'.repeat(24)}` } }],
    ["another client's certificate", { shown: { subject: `CN=${id}\nOU=admin` } }],
    ['certificate revoked', { file: { revokedAt: now + 1 } }],
    ['certificate revoked', { file: { revokedAt: now }, state: 'locked' }],
    ['certificate not yet valid', { shown: { notBefore: now + 1 } }],
  ])('with the one same code: %s', (reason, one) => {
    expect(verdict({ ...one, kind })).toBe(`unauthorized: ${reason}`);
    expect(verdict({ ...one, kind, policy: 'required' })).toBe(`unauthorized: ${reason}`);
    expect(verdict({ ...one, kind, since: null })).toBe(`unauthorized: ${reason}`);
  });

  test('to go on without the certificate it issued', () => {
    expect(verdict({ kind, shown: null, file: null })).toBe('unauthorized: no certificate');
    expect(verdict({ kind, shown: null, file: null, policy: 'required', since: null })).toBe(
      'unauthorized: no certificate',
    );
  });

  test('nobody with a good one, to the last millisecond', () => {
    expect(verdict({ kind })).toBe('pass');
    expect(verdict({ kind, shown: { notBefore: now, notAfter: now } })).toBe('pass');
    expect(verdict({ kind, file: { usedAt: now - 1 } })).toBe('pass');
  });
});

describe('an expired certificate', () => {
  test.each<CallKind>(['open', 'key', 'certificate'])('is told as such on %s, where a code was asked', (kind) => {
    expect(verdict({ kind, shown: { notAfter: now - 1 } })).toBe('certificate_expired: certificate expired');
  });

  test.each<CallKind>(['release', 'heartbeat', 'store'])('is told to the log alone on %s', (kind) => {
    expect(verdict({ kind, shown: { notAfter: now - 1 } })).toBe('unauthorized: certificate expired');
  });

  test('that is wrong otherwise too is no more than wrong', () => {
    const notAfter = now - 1;
    expect(verdict({ shown: { notAfter, authority: null } })).toBe('unauthorized: certificate of another authority');
    expect(verdict({ shown: { notAfter }, file: { revokedAt: now } })).toBe('unauthorized: certificate revoked');
  });
});

describe('the policy', () => {
  test('auto lets a client that was issued none go without', () => {
    for (const kind of calls.filter((one) => one !== 'certificate')) {
      expect(verdict({ kind, shown: null, file: null, since: null })).toBe('pass');
    }
  });

  test('off looks at none, but none is renewed without a good one', () => {
    for (const kind of calls.filter((one) => one !== 'certificate')) {
      expect(verdict({ kind, policy: 'off', shown: null, file: null })).toBe('pass');
      expect(verdict({ kind, policy: 'off', file: { revokedAt: 1 } })).toBe('pass');
    }
    const kind = 'certificate';
    expect(verdict({ kind, policy: 'off', shown: null, file: null })).toBe('unauthorized: no certificate');
    expect(verdict({ kind, policy: 'off', file: { revokedAt: 1 } })).toBe('unauthorized: certificate revoked');
  });
});

test('a revoked client’s heartbeats are heard, with its own certificate only', () => {
  const file = { revokedAt: now };
  expect(verdict({ kind: 'heartbeat', state: 'revoked', file })).toBe('pass');
  expect(verdict({ kind: 'open', state: 'revoked', file })).toBe('unauthorized: certificate revoked');
  expect(verdict({ kind: 'heartbeat', state: 'revoked', file: { ...file, client: 'lk-1' } })).toMatch(/another client/);
  expect(verdict({ kind: 'heartbeat', state: 'revoked', shown: null, file: null })).toMatch(/no certificate/);
});

test('a client nobody knows is refused like a wrong token', () => {
  const request = { kind: 'open', certificate: shown, now } as GateRequest;
  const judged = certificate.judge(request, { client: null, certificate: null } as GateState);
  expect(judged).toMatchObject({ verdict: 'deny', code: 'unauthorized' });
});

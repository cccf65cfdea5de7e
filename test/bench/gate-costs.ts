import type { ShownCertificate } from '../../keyserver/certificates/shown.ts';
import type { Client } from '../../keyserver/clients/client.ts';
import type { GateRequest, GateState } from '../../keyserver/gate.ts';
import { gates } from '../../keyserver/judgement.ts';
import { presets } from '../../keyserver/policy/policy.ts';
import { parseSchedule } from '../../keyserver/policy/schedule.ts';
import { stillPulse } from '../../keyserver/pulse.ts';
import { sha256 } from '../../platform/encoding.ts';
import { totpCodes } from '../../platform/totp.ts';

const rounds = 200_000;
const now = Date.parse('2026-06-03T10:00:00Z');
const bootId = '6f1b7a52-0000-4000-8000-0123456789ab';
const print = 'a'.repeat(64);
const tokenHash = sha256('the token');
const codes = totpCodes(Buffer.from('12345678901234567890'), now);
const digest = sha256('a certificate');
const shown: ShownCertificate = {
  serial: '01',
  subject: 'CN=lk-1',
  digest,
  notBefore: 0,
  notAfter: now * 2,
  forClients: true,
  authority: '02',
};

/** A client with every gate in use, whose request passes them all. */
const client: Client = {
  id: 'lk-1',
  name: 'cloud',
  state: 'enrolled',
  tokenHash,
  totpSealed: Buffer.from('sealed'),
  basic: false,
  networks: ['10.8.0.0/24', 'fd42::/64'],
  rate: { perHour: 60, burst: 30, lockout: true },
  policy: { ttl: 3600, staleIfError: 86_400 },
  forkPolicy: 'lock+purge',
  gates: { ...presets.strict, schedule: parseSchedule('Europe/Berlin mon-fri 06:00-22:00') },
  killed: false,
  certificate: { policy: 'required', since: 1 },
};

const request: GateRequest = {
  kind: 'open',
  source: '10.8.0.2',
  tokenHash,
  totp: codes[1]?.code.toString() ?? '',
  certificate: shown,
  machine: { fingerprint: print, bootId, reason: 'expired' },
  now,
};

const state: GateState = {
  sealed: false,
  killed: false,
  client,
  rate: { allowed: true, retryAfter: 0, bound: null },
  totp: { codes, lastStep: -1 },
  certificate: { client: 'lk-1', purpose: 'client', digest, revokedAt: null, usedAt: 1 },
  chain: { standing: 'confirmed', fresh: 'fresh', apart: false, sessionHolds: true, proven: true },
  pulse: {
    ...stillPulse,
    bootId,
    settledAt: 0,
    presentAt: now - 60_000,
    releasedBootId: bootId,
    fingerprints: { web: print, command: print },
  },
  ownGaps: [],
  approved: [],
};

/** What each gate's decision takes, nanoseconds, beside a request that it lets pass. */
export function gateCosts(): Readonly<Record<string, number>> {
  const costs: Record<string, number> = {};
  for (const gate of gates) {
    for (const isWarm of [false, true]) {
      const began = performance.now();
      for (let round = 0; round < rounds; round++) gate.judge(request, state);
      if (isWarm) costs[gate.name] = Math.round(((performance.now() - began) / rounds) * 1_000_000);
    }
    const { verdict } = gate.judge(request, state);
    if (verdict !== 'pass') throw new Error(`gate ${gate.name} does not let the request pass`);
  }
  return costs;
}

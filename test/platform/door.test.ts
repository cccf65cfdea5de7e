import { beforeAll, beforeEach, expect, test } from 'vitest';
import type { AuditEntry } from '../../platform/audit-chain.ts';
import { systemRandom } from '../../platform/clock.ts';
import { DenialLog } from '../../platform/denials.ts';
import { Door } from '../../platform/door.ts';
import { hashPassword } from '../../platform/password.ts';
import { totpCode, totpStep } from '../../platform/totp.ts';

interface Account {
  readonly password_hash: string;
  totp_step: number;
}

const password = 'a long password';
const secret = systemRandom(20);
let hash: string;
let ann: Account;
let now: number;
let isSealed: boolean;
let asked: string[];
let told: string[];
let records: AuditEntry[];
let door: Door<Account>;

beforeAll(async () => {
  hash = await hashPassword(password, systemRandom);
});
beforeEach(() => {
  ann = { password_hash: hash, totp_step: 0 };
  now = 1_800_000_000_000;
  isSealed = false;
  [asked, told, records] = [[], [], []];
  door = new Door<Account>({
    clock: { now: () => now },
    random: systemRandom,
    denials: new DenialLog(),
    refusal: 'somebody_refused',
    isSealed: () => isSealed,
    find: async (name) => {
      asked.push(name);
      return name === 'ann' ? ann : null;
    },
    secretOf: () => (isSealed ? null : secret),
    useStep: async (account, step) => {
      const isFirst = step > account.totp_step;
      account.totp_step = Math.max(step, account.totp_step);
      return isFirst;
    },
    record: async (entry) => void records.push(entry),
    onLockout: async (source) => void told.push(source),
  });
});

const code = (): string => totpCode(secret, totpStep(now));
const knock = (change: object = {}, source = '10.8.0.7') =>
  door.check({ name: 'ann', password, code: code(), ...change }, source, 'log in');

test('a sealed door asks for nobody and burns no code', async () => {
  isSealed = true;
  expect(await knock()).toEqual({ verdict: 'sealed' });
  expect([asked, ann.totp_step]).toEqual([[], 0]);
});

test('a door that is sealed while it works opens for nobody', async () => {
  const answer = knock();
  isSealed = true;
  expect(await answer).toEqual({ verdict: 'refused' });
  expect(ann.totp_step).toBe(0);
});

test('whatever was wrong, the answer is the same, no code is burnt, and only the audit log knows', async () => {
  const wrong = [{ name: 'mallory' }, { password: 'another one' }, { code: '000000' }, { code: '' }];
  for (const change of wrong) expect(await knock(change)).toEqual({ verdict: 'refused' });
  expect(ann.totp_step).toBe(0);
  expect(records).toMatchObject([
    { event: 'somebody_refused', source: '10.8.0.7', reason: 'name', detail: { purpose: 'log in' } },
    { reason: 'password' },
    { reason: 'code' },
  ]);
  expect(JSON.stringify(records)).not.toMatch(/mallory|"ann"|another one/);
});

test('a code opens once, and none from before it', async () => {
  expect(await knock()).toMatchObject({ verdict: 'open', account: ann });
  expect(await knock()).toEqual({ verdict: 'refused' });
  expect(await knock({ code: totpCode(secret, totpStep(now) - 1) })).toEqual({ verdict: 'refused' });
  now += 30_000;
  expect(await knock()).toMatchObject({ verdict: 'open' });
});

test('the fifth mistake in a row is told, and has who makes it wait without being looked at; a neighbour does not', async () => {
  for (let tries = 0; tries < 5; tries++) await knock({ password: 'wrong' });
  expect(told).toEqual(['10.8.0.7']);
  asked = [];
  expect(await knock()).toEqual({ verdict: 'wait', seconds: 1 });
  expect([asked, ann.totp_step]).toEqual([[], 0]);
  expect(await knock({}, '10.8.0.8')).toMatchObject({ verdict: 'open' });
  now += 30_000;
  expect(await knock()).toMatchObject({ verdict: 'open' });
  expect(told).toHaveLength(1);
});

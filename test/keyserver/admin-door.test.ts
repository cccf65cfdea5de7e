import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { addAdmin } from '../../keyserver/admin/accounts.ts';
import { AdminDoor } from '../../keyserver/admin/door.ts';
import { OwnOrigin } from '../../keyserver/admin/own-origin.ts';
import type { Custody } from '../../keyserver/custody.ts';
import { systemRandom } from '../../platform/clock.ts';
import { DenialLog } from '../../platform/denials.ts';
import { createLog } from '../../platform/log.ts';
import { hashPassword } from '../../platform/password.ts';
import type { Vault } from '../../platform/vault/vault.ts';
import { totpNow } from './honest-client.ts';
import { makeTestData, type TestData } from './test-data.ts';

const password = 'a long password';
let test: TestData;
let vault: Vault | null;
let secret: string;
let door: AdminDoor;

beforeAll(async () => {
  test = await makeTestData();
  const passwordHash = await hashPassword(password, systemRandom);
  const wanted = { name: 'ann', passwordHash };
  secret = await test.data.store.transaction((tx) => addAdmin(tx, test.vault, wanted, test.clock.now(), systemRandom));
});
afterAll(() => test.remove());
beforeEach(() => {
  vault = test.vault;
  test.clock.set(test.clock.now() + 60_000);
  const { clock } = test;
  const known = { store: test.data.store, clock, random: systemRandom, denials: new DenialLog() };
  door = new AdminDoor({ ...known, vault: () => vault, log: createLog({ level: 'silent' }) } as unknown as Custody);
});

const code = (): string => totpNow(secret, test.clock.now());

it('AdminDoor opens for nobody while the vault is sealed, and burns no code', async () => {
  vault = null;
  const given = { name: 'ann', password, code: code() };
  expect(await door.check(given, '10.8.0.7', 'log in')).toEqual({ verdict: 'sealed' });
  vault = test.vault;
  expect(await door.check(given, '10.8.0.7', 'log in')).toMatchObject({ verdict: 'open', account: { name: 'ann' } });
});

it('AdminDoor works on eight tries at once and has the others wait', async () => {
  const tries = Array.from({ length: 12 }, (_, index) => ({ name: `eve-${index}`, password, code: code() }));
  const answers = await Promise.all(tries.map((given) => door.check(given, '10.8.0.66', 'log in')));
  expect(answers.filter(({ verdict }) => verdict === 'refused')).toHaveLength(8);
  expect(answers.filter(({ verdict }) => verdict === 'wait')).toHaveLength(4);
  expect(await door.check({ name: 'ann', password, code: code() }, '10.8.0.7', 'log in')).toMatchObject({
    verdict: 'open',
  });
});

it('AdminDoor takes the same password however its accents are spelled', async () => {
  const passwordHash = await hashPassword('pa\u0301ssword of ann', systemRandom);
  await test.data.store.transaction((tx) =>
    tx.updateTable('admin').set({ password_hash: passwordHash }).where('name', '=', 'ann').execute(),
  );
  const given = { name: 'ann', password: 'p\u00e1ssword of ann', code: code() };
  expect(await door.check(given, '10.8.0.7', 'log in')).toMatchObject({ verdict: 'open' });
});

it('OwnOrigin knows its names with and without the port of https, and in IPv6', () => {
  const origin = new OwnOrigin({ hosts: ['Keys.example', 'fd42::1'], listen: { host: 'fd42::1', port: 443 } });
  for (const host of ['keys.example', 'KEYS.example:443', '[fd42::1]', '[fd42::1]:443']) {
    expect(origin.isOwnHost({ host })).toBe(true);
    expect(origin.isOwnForm({ host, origin: `https://${host.toLowerCase()}` })).toBe(true);
  }
  for (const host of [undefined, '', 'keys.example.', 'keys.example:80', 'fd42::1', 'keys.example@evil.example']) {
    expect(origin.isOwnHost({ host })).toBe(false);
    expect(origin.isOwnForm({ host, origin: `https://${host}` })).toBe(false);
  }
  const elsewhere = new OwnOrigin({ hosts: ['keys.example'], listen: { host: '10.8.0.1', port: 8443 } });
  expect(elsewhere.isOwnHost({ host: 'keys.example' })).toBe(false);
  expect(elsewhere.isOwnForm({ host: 'keys.example:8443', origin: 'https://keys.example' })).toBe(false);
});

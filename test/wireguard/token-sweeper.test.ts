import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Store } from '../../platform/store.ts';
import { newTokenText, REGISTRATION_MS } from '../../wireguard/spokes/install-token.ts';
import { insertToken, takeScript } from '../../wireguard/spokes/install-token-store.ts';
import { startSweeper } from '../../wireguard/spokes/token-sweeper.ts';
import { insertInterface, poolOf } from '../../wireguard/store/hub-interface.ts';
import { countFreeAddresses } from '../../wireguard/store/peer-counts.ts';
import type { HubDatabase } from '../../wireguard/store/schema.ts';
import { sqlitePlace, testInterface, testSeal } from './hub-store.ts';

const HOUR = 3_600_000;
const EVERY = 10;

let store: Store<HubDatabase>;
let close: () => Promise<void>;
let now = 1_700_000_000_000;
let failures = 0;
const hub = testInterface({ networks: ['10.0.0.0/16'], addresses: ['10.0.0.1/16'] });
const log = { error: () => failures++ } as never;

beforeEach(async () => {
  ({ store, close } = await sqlitePlace().open());
  await store.transaction((tx) => insertInterface(tx, hub, testSeal(), now));
  failures = 0;
});
afterEach(() => close());

async function makeTokens(count: number): Promise<string[]> {
  return store.transaction(async (tx) => {
    const ids: string[] = [];
    for (let at = 0; at < count; at++) {
      const [id, spokeId] = [randomBytes(12).toString('hex'), randomBytes(12).toString('hex')];
      const given = { spokeName: 'office', platform: null, scripts: {}, members: 0, parent: null };
      const address = { url: 'https://hub.example', pin: null, hubName: 'hub' };
      const made = { hub: address, createdBy: 'command', createdFrom: null, createdAt: now, expiresAt: now + HOUR };
      const { hash } = newTokenText(randomBytes);
      await insertToken(tx, poolOf(hub), null, { id, hash, interface: 'wg0', spokeId, ...given, ...made });
      ids.push(id);
    }
    return ids;
  });
}
const free = async () => (await store.read(countFreeAddresses)).get('wg0');
const records = async () => {
  const rows = await store.read((db) => db.selectFrom('audit').select('body').orderBy('seq').execute());
  return rows.map(({ body }) => JSON.parse(body)).filter(({ event }) => event === 'install_token_expired');
};

test('a running sweeper frees what is over, however much, and writes each down', async () => {
  const before = await free();
  await makeTokens(450);
  const [, fetched] = await makeTokens(2);
  const script = { at: now, from: '192.0.2.1', agent: null, platform: 'linux' as const };
  await store.transaction((tx) => takeScript(tx, fetched ?? '', script));
  const stop = startSweeper({ store, clock: { now: () => now }, log }, EVERY);
  now += REGISTRATION_MS;
  await vi.waitFor(async () => expect(await records()).toHaveLength(1), 5000);
  expect((await records())[0].detail).toMatchObject({ by: 'hub', token: fetched, fetched: true });
  expect(await free()).toBe((before ?? 0) - 451);
  now += HOUR;
  await vi.waitFor(async () => expect(await free()).toBe(before), 5000);
  expect(await records()).toHaveLength(452);
  now += 91 * 24 * HOUR;
  const left = () => store.read((db) => db.selectFrom('install_token').select('id').execute());
  await vi.waitFor(async () => expect(await left()).toEqual([]), 5000);
  await stop();
  expect(failures).toBe(0);
});

test('a sweeper whose database fails says so and goes on', async () => {
  const [id] = await makeTokens(1);
  let broken = true;
  const shaky: Store<HubDatabase> = {
    ...store,
    transaction: (work) => (broken ? Promise.reject(new Error('held')) : store.transaction(work)),
  };
  now += HOUR;
  const stop = startSweeper({ store: shaky, clock: { now: () => now }, log }, EVERY);
  await vi.waitFor(() => expect(failures).toBeGreaterThan(1), 5000);
  expect(await records()).toEqual([]);
  broken = false;
  await vi.waitFor(async () => expect((await records())[0]?.detail.token).toBe(id), 5000);
  await stop();
});

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  addClient,
  changePolicy,
  findClient,
  resetClient,
  revokeClient,
} from '../../keyserver/clients/client-admin.ts';
import { redeemGrant } from '../../keyserver/clients/grant.ts';
import { killAll, killClient, killedSince, reviveAll, reviveClient } from '../../keyserver/kill-switch.ts';
import { systemRandom } from '../../platform/clock.ts';
import { makeTestData, someMoment, type TestData } from './test-data.ts';

let test: TestData;
beforeEach(async () => {
  test = await makeTestData();
});
afterEach(() => test.remove());

const find = (name: string) => test.data.store.read((tx) => findClient(tx, name));
const events = async () => {
  const rows = await test.data.store.read((tx) => tx.selectFrom('audit').select('body').orderBy('seq').execute());
  return rows.map((row) => (JSON.parse(row.body) as { event: string }).event);
};

describe('addClient()', () => {
  it('refuses a name that is taken, and adds nothing', async () => {
    await test.add();
    const before = await events();
    await expect(test.add()).rejects.toMatchObject({ code: 'client_exists' });
    expect(await events()).toEqual(before);
    const codes = await test.data.store.read((tx) => tx.selectFrom('enrolment').select('client_id').execute());
    expect(codes).toHaveLength(1);
  });
  it('makes no grant when it is told so', async () => {
    expect((await test.add({ escrow: false })).grant).toBe('');
    expect(await test.data.store.read((tx) => tx.selectFrom('grant').selectAll().execute())).toEqual([]);
  });
  it('leaves no trace of a transaction that failed', async () => {
    const attempt = test.data.store.transaction(async (tx) => {
      const wanted = { name: 'half', networks: ['127.0.0.0/8'], basic: false, escrow: true };
      await addClient(tx, wanted, someMoment, systemRandom);
      throw new TypeError('the power went');
    });
    await expect(attempt).rejects.toThrow('the power went');
    await expect(find('half')).rejects.toMatchObject({ code: 'client_unknown' });
    expect(await events()).toEqual(['server_made']);
  });
});

describe('resetClient()', () => {
  it('refuses a revoked client', async () => {
    await test.add();
    await test.data.store.transaction(async (tx) => revokeClient(tx, await findClient(tx, 'cloud'), someMoment));
    const attempt = test.data.store.transaction(async (tx) =>
      resetClient(tx, await findClient(tx, 'cloud'), true, someMoment, systemRandom),
    );
    await expect(attempt).rejects.toMatchObject({ code: 'client_revoked', exit: 3 });
    expect((await find('cloud')).state).toBe('revoked');
  });
  it('ends token, TOTP secret and grant, and opens a locked client', async () => {
    const { clientId, grant } = await test.add();
    await test.data.store.transaction((tx) =>
      tx
        .updateTable('client')
        .set({ state: 'locked', token_hash: systemRandom(32), totp_sealed: systemRandom(32) })
        .execute(),
    );
    const again = await test.data.store.transaction(async (tx) =>
      resetClient(tx, await findClient(tx, 'cloud'), false, someMoment, systemRandom),
    );
    expect(again).toMatchObject({ clientId, grant: '' });
    expect(await find('cloud')).toMatchObject({ state: 'new', token_hash: null, totp_sealed: null });
    const old = Buffer.from(grant, 'base64url');
    expect(await test.data.store.transaction((tx) => redeemGrant(tx, clientId, old, someMoment))).toBe(false);
  });
});

describe('revokeClient()', () => {
  it('keeps the token, so that heartbeats are answered, and ends code and grant', async () => {
    const { clientId, grant } = await test.add();
    const token = systemRandom(32);
    await test.data.store.transaction((tx) => tx.updateTable('client').set({ token_hash: token }).execute());
    await test.data.store.transaction(async (tx) => revokeClient(tx, await findClient(tx, clientId), someMoment));
    const row = await find('cloud');
    expect(row.state).toBe('revoked');
    expect(Buffer.from(row.token_hash ?? [])).toEqual(token);
    const codes = await test.data.store.read((tx) => tx.selectFrom('enrolment').select('expires_at').execute());
    expect(codes).toEqual([{ expires_at: someMoment }]);
    const old = Buffer.from(grant, 'base64url');
    expect(await test.data.store.transaction((tx) => redeemGrant(tx, clientId, old, someMoment))).toBe(false);
  });
  it('is recorded once', async () => {
    await test.add();
    for (let count = 0; count < 2; count++) {
      await test.data.store.transaction(async (tx) => revokeClient(tx, await findClient(tx, 'cloud'), someMoment));
    }
    expect(await events()).toEqual(['server_made', 'client_added', 'client_revoked']);
  });
});

describe('changePolicy()', () => {
  it('changes what is named, and that client alone', async () => {
    await test.add();
    await test.add({ name: 'other' });
    const before = await find('cloud');
    await test.data.store.transaction(async (tx) =>
      changePolicy(tx, await findClient(tx, 'cloud'), { burst: 7, lockout: false }, someMoment),
    );
    expect(await find('cloud')).toEqual({ ...before, burst: 7, lockout: 0 });
    expect((await find('other')).burst).toBe(30);
  });
  it('records nothing when nothing is named', async () => {
    await test.add();
    await test.data.store.transaction(async (tx) => changePolicy(tx, await findClient(tx, 'cloud'), {}, someMoment));
    expect(await events()).toEqual(['server_made', 'client_added']);
  });
});

describe('the kill switches', () => {
  it('answer whether anything changed, and record what did', async () => {
    await test.add();
    const { store } = test.data;
    expect(await store.transaction((tx) => reviveAll(tx, someMoment))).toBe(false);
    expect(await store.transaction((tx) => killAll(tx, 'drill', someMoment))).toBe(true);
    expect(await store.transaction((tx) => killAll(tx, null, someMoment + 1))).toBe(false);
    expect(await store.read(killedSince)).toBe(someMoment);
    expect(await store.transaction((tx) => reviveAll(tx, someMoment))).toBe(true);
    expect(await store.read(killedSince)).toBeNull();
    const one = async (work: typeof reviveClient) =>
      store.transaction(async (tx) => work(tx, await findClient(tx, 'cloud'), someMoment));
    expect(await one(reviveClient)).toBe(false);
    expect(await one((tx, client, now) => killClient(tx, client, null, now))).toBe(true);
    expect(await one((tx, client, now) => killClient(tx, client, null, now))).toBe(false);
    expect(await one(reviveClient)).toBe(true);
    expect((await events()).slice(2)).toEqual(['server_killed', 'server_revived', 'client_killed', 'client_revived']);
  });
  it('of the server leave those of the clients alone', async () => {
    await test.add();
    const { store } = test.data;
    await store.transaction(async (tx) => killClient(tx, await findClient(tx, 'cloud'), null, someMoment));
    await store.transaction((tx) => killAll(tx, null, someMoment));
    await store.transaction((tx) => reviveAll(tx, someMoment));
    expect((await find('cloud')).killed_at).toBe(someMoment);
  });
});

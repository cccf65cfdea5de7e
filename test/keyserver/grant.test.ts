import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  createGrant,
  grantLifetimeMs,
  grantRunMs,
  redeemGrant,
  withdrawGrants,
} from '../../keyserver/clients/grant.ts';
import { systemRandom } from '../../platform/clock.ts';
import { makeTestData, someMoment, type TestData } from './test-data.ts';

let test: TestData;
let client: string;
let grant: Buffer;
beforeEach(async () => {
  test = await makeTestData();
  const invitation = await test.add();
  client = invitation.clientId;
  grant = Buffer.from(invitation.grant, 'base64url');
});
afterEach(() => test.remove());

const redeem = (at: number, who = client, what = grant) =>
  test.data.store.transaction((tx) => redeemGrant(tx, who, what, at));

describe('redeemGrant()', () => {
  it("refuses another client's grant", async () => {
    const other = await test.add({ name: 'other' });
    expect(await redeem(someMoment, other.clientId)).toBe(false);
  });
  it('refuses 32 other bytes', async () => {
    expect(await redeem(someMoment, client, systemRandom(32))).toBe(false);
  });
  it('takes it a millisecond before its hour is over, and refuses it at the hour', async () => {
    expect(await redeem(someMoment + grantLifetimeMs)).toBe(false);
    expect(await redeem(someMoment + grantLifetimeMs + 1)).toBe(false);
    expect(await redeem(someMoment + grantLifetimeMs - 1)).toBe(true);
  });
  it('serves one run of ten minutes from its first use, and is spent then', async () => {
    expect(await redeem(someMoment + 5)).toBe(true);
    expect(await redeem(someMoment + 6)).toBe(true);
    expect(await redeem(someMoment + 5 + grantRunMs - 1)).toBe(true);
    expect(await redeem(someMoment + 5 + grantRunMs)).toBe(false);
    expect(await redeem(someMoment + 5 + grantRunMs + 1)).toBe(false);
  });
  it('lets a run that began in time end after the hour', async () => {
    const late = someMoment + grantLifetimeMs - 1;
    expect(await redeem(late)).toBe(true);
    expect(await redeem(late + grantRunMs - 1)).toBe(true);
    expect(await redeem(late + grantRunMs)).toBe(false);
  });
  it('leaves a grant it refused as it was', async () => {
    await redeem(someMoment, 'lk-000000000000000000000000');
    const rows = await test.data.store.read((tx) => tx.selectFrom('grant').select('first_used_at').execute());
    expect(rows).toEqual([{ first_used_at: null }]);
  });
});

describe('withdrawGrants()', () => {
  it('ends the grants of that client alone', async () => {
    const other = await test.add({ name: 'other' });
    await test.data.store.transaction((tx) => withdrawGrants(tx, client));
    expect(await redeem(someMoment)).toBe(false);
    expect(await redeem(someMoment, other.clientId, Buffer.from(other.grant, 'base64url'))).toBe(true);
  });
});

describe('createGrant()', () => {
  it('keeps a digest only', async () => {
    const text = await test.data.store.transaction((tx) => createGrant(tx, client, someMoment, systemRandom));
    const rows = await test.data.store.read((tx) => tx.selectFrom('grant').select('grant_hash').execute());
    const kept = rows.map((row) => Buffer.from(row.grant_hash).toString('base64url'));
    expect(text).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(kept).toHaveLength(2);
    expect(kept).not.toContain(text);
  });
});

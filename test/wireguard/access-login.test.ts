import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { systemRandom } from '../../platform/clock.ts';
import { DenialLog } from '../../platform/denials.ts';
import type { AppRequest } from '../../platform/http-app.ts';
import { createLog } from '../../platform/log.ts';
import { hashPassword } from '../../platform/password.ts';
import { logOutAccount, removeAccount, renewTotp, setPassword, setRole } from '../../wireguard/access/accounts.ts';
import { ROLE_SCOPES } from '../../wireguard/access/caller.ts';
import { openAccess } from '../../wireguard/access/open-access.ts';
import { openHubData } from '../../wireguard/data/hub-data.ts';
import { COMMAND } from '../../wireguard/hub/actor.ts';
import { type RunningHub, startRunningHub } from './running-hub.ts';

const minute = 60_000;
let hub: RunningHub;

beforeAll(async () => {
  hub = await startRunningHub({
    tokens: [{ name: 'metrics', scopes: ['metrics:read'] }],
    accounts: [
      { name: 'ann', role: 'admin' },
      { name: 'ben', role: 'admin' },
      { name: 'otto', role: 'operator' },
      { name: 'vera', role: 'viewer' },
      { name: 'gone', role: 'viewer' },
      { name: 'repass', role: 'operator' },
      { name: 'recode', role: 'operator' },
      { name: 'rerole', role: 'operator' },
      { name: 'logout', role: 'operator' },
    ],
  });
});
afterAll(() => hub.stop());
beforeEach(() => {
  hub.clock.skew += 120 * minute; // what was held against a source before is over
});

const tryLogin = (body: unknown, more: object = {}) => hub.request('POST', '/api/login', { body, ...more });
const session = (token: string, more: object = {}) => hub.request('GET', '/api/session', { token, ...more });

describe('logging in', () => {
  test('tells nobody whether the name, the password or the code was wrong, but the audit log', async () => {
    const given = hub.credentials('ann');
    const answers = [
      await tryLogin({ ...given, name: 'eve' }),
      await tryLogin({ ...given, password: 'CANARY another one' }),
      await tryLogin({ ...given, code: '000000' }),
      await tryLogin({ ...given, code: 'x' }),
      await tryLogin({ ...given, name: 'ann\0' }),
    ];
    for (const answer of answers) {
      expect(answer.status).toBe(401);
      expect(answer.text).toBe(answers[0]?.text);
      expect(answer.headers['cache-control']).toBe('no-store');
    }
    const refusals = (await hub.audit()).filter(({ event }) => event === 'login_refused');
    expect(refusals.map(({ reason }) => reason)).toEqual(expect.arrayContaining(['name', 'password', 'code']));
    expect(JSON.stringify(refusals)).not.toMatch(/CANARY|"eve"|"ann"/);
  });

  test('takes a code once, also of three that come together', async () => {
    const given = hub.credentials('ann');
    const answers = await Promise.all([1, 2, 3].map(() => tryLogin(given)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 401, 401]);
    expect((await tryLogin(given)).status).toBe(401);
  });

  test('makes who fails wait, and neither a neighbour nor another name', async () => {
    const from = '127.0.0.20';
    const wrong = { name: 'ann', password: 'wrong', code: '000000' };
    for (let tries = 0; tries < 5; tries++) expect((await tryLogin(wrong, { from })).status).toBe(401);
    const given = hub.credentials('ann');
    hub.clock.skew -= 30_000;
    const waiting = await tryLogin(given, { from });
    expect(waiting).toMatchObject({
      status: 429,
      body: { code: 'TOO_MANY_REQUESTS' },
      headers: { 'retry-after': '1' },
    });
    expect((await tryLogin(given)).status).toBe(200);
    expect((await tryLogin(hub.credentials('otto'), { from })).status).toBe(200);
    hub.clock.skew += 1_000;
    expect((await tryLogin(hub.credentials('ann'), { from })).status).toBe(200);
  });

  test.each([
    ['a field more', { more: 1 }, 'more'],
    ['no code', { code: undefined }, 'code'],
    ['a name that is a number', { name: 7 }, 'name'],
    ['no password', { password: '' }, 'password'],
    ['a password beyond all measure', { password: 'x'.repeat(1025) }, 'password'],
  ])('refuses %s, naming the field', async (_, change, field) => {
    const answer = await tryLogin({ ...hub.credentials('ann'), ...change });
    expect(answer).toMatchObject({ status: 400, body: { code: 'INVALID_REQUEST', field } });
  });

  test.each(['ann', 'otto', 'vera'] as const)('gives %s a token, its role and what comes with it', async (name) => {
    const { status, body } = await tryLogin(hub.credentials(name));
    expect(status).toBe(200);
    expect(Object.keys(body).sort()).toEqual(['expiresAt', 'role', 'scopes', 'token']);
    expect(body.token).toMatch(/^lks_[A-Za-z0-9_-]{43}$/);
    expect(body.scopes).toEqual(ROLE_SCOPES[body.role as 'admin']);
    expect(Date.parse(body.expiresAt) - hub.clock.now()).toBeLessThanOrEqual(480 * minute);
    const { body: who } = await session(body.token);
    expect(who).toEqual({
      actor: `account:${name}`,
      role: body.role,
      scopes: [...body.scopes],
      expiresAt: body.expiresAt,
    });
  });
});

describe('a session', () => {
  test('ends after fifteen idle minutes', async () => {
    const token = await hub.login('ann');
    hub.clock.skew += 15 * minute - 1000;
    expect((await session(token)).status).toBe(200);
    hub.clock.skew += 15 * minute;
    expect((await session(token)).status).toBe(401);
  });

  test('ends after eight hours of work', async () => {
    const token = await hub.login('ann');
    for (let worked = 0; worked < 47; worked++) {
      hub.clock.skew += 10 * minute;
      expect((await session(token)).status).toBe(200);
    }
    hub.clock.skew += 10 * minute;
    expect((await session(token)).status).toBe(401);
  });

  test('ends with logging out', async () => {
    const token = await hub.login('ann');
    expect((await hub.request('POST', '/api/logout', { token })).status).toBe(204);
    expect((await session(token)).status).toBe(401);
    expect((await hub.request('POST', '/api/logout', { token })).status).toBe(401);
    expect((await hub.audit()).filter(({ event }) => event === 'logout')).toMatchObject([
      { detail: { by: 'account:ann' } },
    ]);
  });

  test('is good from the address it began at only, and goes on there', async () => {
    const token = await hub.login('ann');
    expect((await session(token, { from: '127.0.0.9' })).status).toBe(401);
    expect((await session(token)).status).toBe(200);
  });

  test.each<[what: string, name: string, change: (name: string) => Promise<unknown>]>([
    ['another password is set', 'repass', setPasswordOf],
    [
      'the code is made anew',
      'recode',
      (name) => write((tx, now) => renewTotp(tx, hub.vault, name, COMMAND, now, systemRandom)),
    ],
    ['another role is given', 'rerole', (name) => write((tx, now) => setRole(tx, name, 'viewer', COMMAND, now))],
    [
      'somebody is logged out by the hub',
      'logout',
      (name) => write((tx, now) => logOutAccount(tx, name, COMMAND, now)),
    ],
  ])('ends when %s', async (_, name, change) => {
    const token = await hub.login(name);
    expect((await session(token)).status).toBe(200);
    await change(name);
    expect((await session(token)).status).toBe(401);
  });

  test('ends when its account is removed', async () => {
    const token = await hub.login('gone');
    await write((tx, now) => removeAccount(tx, 'gone', COMMAND, now));
    expect((await session(token)).status).toBe(401);
    expect((await tryLogin(hub.credentials('gone'))).status).toBe(401);
  });

  test('outlives a hub that is started anew on its store', async () => {
    const token = await hub.login('ann');
    expect(JSON.stringify(await sessionRows())).not.toContain(token.slice(4));
    const data = await openHubData(hub.data.directory, {});
    const { config, store } = data;
    const parts = { config, store, vault: hub.vault, clock: hub.clock, random: systemRandom };
    const log = createLog({ level: 'silent' });
    const again = openAccess({ ...parts, log, denials: new DenialLog(), limited: (source) => source });
    const request = { headers: { authorization: `Bearer ${token}` }, source: '127.0.0.1' } as unknown as AppRequest;
    expect((await again.callerOf(request)).actor.name).toBe('account:ann');
    await again.logOut(request);
    expect((await session(token)).status).toBe(401);
    await again.stop();
    await data.store.close();
  });

  test('goes on while nothing can be written, and is told of once it can', async () => {
    const token = await hub.login('ann');
    const full = vi.spyOn(hub.data.store, 'transaction').mockRejectedValue(new Error('the disk is full'));
    for (let worked = 0; worked < 3; worked++) {
      hub.clock.skew += 10 * minute;
      expect((await session(token)).status).toBe(200);
    }
    full.mockRestore();
    expect(hub.log()).toContain('last use of a session was not noted');
    const seen = async () => Math.max(...(await sessionRows()).map((row) => Number(row.seen_at)));
    expect(await seen()).toBeLessThan(hub.clock.now() - 29 * minute);
    hub.clock.skew += minute;
    expect((await session(token)).status).toBe(200);
    await expect.poll(seen).toBeGreaterThan(hub.clock.now() - minute);
  });

  test('goes on when it is asked for while its last use is on the way to the store', async () => {
    const token = await hub.login('ann');
    const { store } = hub.data;
    const [transaction, read] = [store.transaction.bind(store), store.read.bind(store)];
    let open: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const writing = vi.spyOn(store, 'transaction').mockImplementation(async (job) => {
      await gate;
      return transaction(job);
    });
    hub.clock.skew += 14 * minute;
    expect((await session(token)).status).toBe(200);
    hub.clock.skew += 14 * minute;
    // what was read before that use was written down comes after it
    const reading = vi.spyOn(store, 'read').mockImplementation(async (job) => {
      const answer = await read(job);
      open();
      await transaction(async () => undefined);
      await new Promise((resolve) => setTimeout(resolve, 50));
      return answer;
    });
    expect((await session(token)).status).toBe(200);
    for (const held of [writing, reading]) held.mockRestore();
  });

  test('leaves its row when it is over, and the one that was idle longest makes room for the hundred and first', async () => {
    const first = await hub.login('ann');
    await write((tx, now) =>
      tx
        .updateTable('session')
        .set({ seen_at: now - 14 * minute })
        .execute(),
    );
    await write((tx, now) => {
      const rows = Array.from({ length: 99 }, (_, index) => {
        return { id: `made-${index}`, account: 'ann', source: '::1', changed_at: 1, began_at: now, seen_at: now };
      });
      return tx.insertInto('session').values(rows).execute();
    });
    expect((await session(first)).status).toBe(200);
    await write((tx, now) =>
      tx
        .updateTable('session')
        .set({ seen_at: now - 14 * minute })
        .where('id', 'not like', 'made-%')
        .execute(),
    );
    const second = await hub.login('ann');
    expect((await session(first)).status).toBe(401);
    expect((await session(second)).status).toBe(200);
    expect(await sessionRows()).toHaveLength(100);
    hub.clock.skew += 15 * minute;
    const old = { id: 'old', account: 'ann', source: '::1', changed_at: 1, began_at: 0, seen_at: 0 };
    await write((tx, now) =>
      tx
        .insertInto('session')
        .values({ ...old, began_at: now - 480 * minute, seen_at: now })
        .execute(),
    );
    const third = await hub.login('ann');
    expect(await sessionRows()).toHaveLength(1);
    expect((await session(third)).status).toBe(200);
  });

  test('is nothing that a token can log out of', async () => {
    expect((await hub.request('POST', '/api/logout', { token: 'metrics' })).status).toBe(401);
    expect((await session('metrics')).body).toEqual({
      actor: 'token:metrics',
      role: null,
      scopes: ['metrics:read'],
      expiresAt: null,
    });
  });
});

const sessionRows = () => hub.data.store.read((db) => db.selectFrom('session').selectAll().execute());

type Work<T> = (
  tx: Parameters<Parameters<RunningHub['data']['store']['transaction']>[0]>[0],
  now: number,
) => Promise<T>;

function write<T>(work: Work<T>): Promise<T> {
  return hub.data.store.transaction((tx) => work(tx, hub.clock.now()));
}

async function setPasswordOf(name: string): Promise<void> {
  const hash = await hashPassword('CANARY another long one', systemRandom);
  await write((tx, now) => setPassword(tx, name, hash, COMMAND, now));
}

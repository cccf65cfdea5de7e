import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { databaseFile } from '../../keyserver/data-directory.ts';
import { call, HonestClient, totpNow } from './honest-client.ts';
import { masterKeyId } from './made-server.ts';
import { RunningServer } from './running-server.ts';
import { isOnPostgres } from './test-store.ts';

const key = Buffer.from('the sealed private key of an instance');
let server: RunningServer;

beforeEach(async () => {
  server = await RunningServer.start({ clients: 2, key });
});

afterEach(() => server.remove());

const post = (path: string, headers: Record<string, string>, body: unknown) =>
  call(server, 'POST', path, headers, body);

async function opened(client: HonestClient) {
  const answer = await post('/v1/open', client.openHeaders(), client.openBody());
  expect(answer.status).toBe(200);
  client.opened(String(answer.body.next));
  return answer;
}

describe('an exchange', () => {
  test('releases the key, records it, and moves the chain', async () => {
    const client = server.client();
    const open = await opened(client);
    expect(open.body).toMatchObject({ expiresInMs: 10_000, head: { seq: expect.any(Number) } });
    const before = (await server.audit()).length;
    const body = client.releaseBody(String(open.body.session), [masterKeyId]);
    const release = await post('/v1/release', client.headers(), body);
    expect(release.body.keys).toEqual({ [masterKeyId]: key.toString('base64') });
    expect(release.body.policy).toEqual({ ttl: 3600, staleIfError: 86_400 });
    const record = (await server.audit())[before];
    expect(record).toMatchObject({
      event: 'key_released',
      client: client.credentials.clientId,
      source: '127.0.0.1',
      keys: [masterKeyId],
      reason: 'cold',
      verdicts: {
        seal: 'pass',
        kill: 'pass',
        source: 'pass',
        rate: 'pass',
        token: 'pass',
        totp: 'pass',
        chain: 'pass',
      },
    });
    expect(release.body.head).toMatchObject({ seq: before + 1 });
    client.released();
    expect((await client.exchange(server, [masterKeyId])).status).toBe(200);
  });

  test('goes on after a lost answer at each of its two steps', async () => {
    const client = server.client();
    await post('/v1/open', client.openHeaders(), client.openBody()); // the answer is lost
    const open = await opened(client);
    await post('/v1/release', client.headers(), client.releaseBody(String(open.body.session), [masterKeyId])); // lost too
    expect((await client.exchange(server, [masterKeyId])).status).toBe(200);
    expect(await server.events()).not.toContain('fork_detected');
  });

  test('goes on after a restart of the server between its two steps', async () => {
    const client = server.client();
    const open = await opened(client);
    await server.stop();
    await server.resume();
    const late = await post(
      '/v1/release',
      client.headers(),
      client.releaseBody(String(open.body.session), [masterKeyId]),
    );
    expect([late.status, late.body.code]).toEqual([409, 'stale_message']);
    expect((await client.exchange(server, [masterKeyId])).status).toBe(200);
  });

  test('is refused when its session has lapsed, and starts again', async () => {
    const client = server.client();
    const open = await opened(client);
    server.skew = 10_000;
    const late = await post(
      '/v1/release',
      client.headers(),
      client.releaseBody(String(open.body.session), [masterKeyId]),
    );
    expect(late.body.code).toBe('stale_message');
    expect((await client.exchange(server, [masterKeyId])).status).toBe(200);
  });

  test('does not move for a key that is not there', async () => {
    const client = server.client();
    const open = await opened(client);
    const body = client.releaseBody(String(open.body.session), [masterKeyId, 'other.privateKey']);
    const refused = await post('/v1/release', client.headers(), body);
    expect([refused.status, refused.body.code]).toEqual([404, 'not_found']);
    expect(refused.text).not.toContain(key.toString('base64'));
    expect(await server.events()).not.toContain('key_released');
    const again = client.releaseBody(String(open.body.session), [masterKeyId]);
    expect((await post('/v1/release', client.headers(), again)).status).toBe(200);
  });

  test('never serves the session or the keys of another client', async () => {
    const [mine, theirs] = [server.client(0), server.client(1)];
    const open = await opened(mine);
    const body = { ...mine.releaseBody(String(open.body.session), [masterKeyId]) };
    const refused = await post('/v1/release', theirs.headers(), body);
    expect([refused.status, refused.body.code]).toEqual([401, 'unauthorized']);
    expect(
      (await post('/v1/release', mine.headers(), mine.releaseBody(String(open.body.session), [masterKeyId]))).status,
    ).toBe(200);
  });
});

describe('a log that cannot be written', () => {
  test('releases nothing: 503 degraded', async () => {
    const client = server.client();
    const open = await opened(client);
    await (isOnPostgres() ? takeTable('audit', 'audit_away') : takeFile());
    const refused = await post(
      '/v1/release',
      client.headers(),
      client.releaseBody(String(open.body.session), [masterKeyId]),
    );
    expect([refused.status, refused.body.code]).toEqual([503, 'degraded']);
    expect(refused.text).not.toContain(key.toString('base64'));
    await (isOnPostgres() ? takeTable('audit_away', 'audit') : putFileBack());
    expect(await server.events()).not.toContain('key_released');
    expect((await client.exchange(server, [masterKeyId])).status).toBe(200);
  });

  const database = (): string => databaseFile(server.made.data);
  const takeTable = (from: string, to: string) =>
    server.beside(async (tx) => void (await tx.schema.alterTable(from).renameTo(to).execute()));
  const takeFile = async (): Promise<void> => {
    renameSync(database(), `${database()}.away`);
    server.skew += 1000; // the files are looked at ten times a second
  };
  const putFileBack = async (): Promise<void> => {
    renameSync(`${database()}.away`, database());
    server.skew += 1000;
  };
});

describe('a replay', () => {
  test('of a whole exchange is stale, and no fork', async () => {
    const client = server.client();
    const openBody = client.openBody();
    const headers = client.openHeaders();
    const open = await post('/v1/open', headers, openBody);
    client.opened(String(open.body.next));
    const releaseBody = client.releaseBody(String(open.body.session), [masterKeyId]);
    await post('/v1/release', client.headers(), releaseBody);
    const before = await server.everything();
    for (const [path, body] of [
      ['/v1/open', openBody],
      ['/v1/release', releaseBody],
    ] as const) {
      const replay = await post(path, headers, body);
      expect([replay.status, replay.body.code]).toEqual([409, 'stale_message']);
      expect(replay.body.serverTime).toEqual(expect.any(Number));
    }
    expect(await server.everything()).toBe(before);
  });

  test('of a refused message is stale', async () => {
    const client = server.client();
    const open = await opened(client);
    const body = client.releaseBody(String(open.body.session), ['missing.privateKey']);
    expect((await post('/v1/release', client.headers(), body)).status).toBe(404);
    expect((await post('/v1/release', client.headers(), body)).body.code).toBe('stale_message');
  });
});

describe('clocks', () => {
  test.each([-60_500, 60_500])('that differ by %i ms are told the server time, and nothing moves', async (skew) => {
    const client = server.client();
    const before = await server.everything();
    const body = { ...client.openBody(), time: server.now() + skew };
    const answer = await post('/v1/open', client.openHeaders(), body);
    expect([answer.status, answer.body.code]).toEqual([409, 'stale_message']);
    expect(Math.abs(Number(answer.body.serverTime) - server.now())).toBeLessThan(5000);
    expect(await server.everything()).toBe(before);
  });

  test.each([-400_000, -45_000, 45_000, 400_000])(
    'by which the host makes its codes as well, %i ms off, are no reason to call it a stranger',
    async (skew) => {
      const { made } = server;
      const credentials = made.clients[0];
      if (credentials === undefined) throw new RangeError('no client');
      const client = new HonestClient(credentials, () => server.now() + skew);
      client.state.current = server.client().state.current;
      const answer = await post('/v1/open', client.openHeaders(), client.openBody());
      // within a minute the code is sometimes still good
      if (Math.abs(skew) < 60_000 && answer.status === 200) return;
      expect([answer.status, answer.body.code]).toEqual([409, 'stale_message']);
    },
  );
});

describe('a copy of the disk', () => {
  const ahead = 55_000;

  async function copyAhead() {
    const original = server.client();
    expect((await original.exchange(server, [masterKeyId])).status).toBe(200);
    const copy = new HonestClient(original.credentials, () => server.now() + ahead);
    Object.assign(copy.state, original.state);
    return { original, copy };
  }

  async function takeKey(copy: HonestClient): Promise<void> {
    const headers = { ...copy.openHeaders(), 'X-TOTP': totpNow(copy.credentials.totpSecret, server.now()) };
    const open = await post('/v1/open', headers, copy.openBody());
    copy.opened(String(open.body.next));
    const body = copy.releaseBody(String(open.body.session), [masterKeyId]);
    expect((await post('/v1/release', copy.headers(), body)).status).toBe(200);
    copy.released();
  }

  test('cannot hide behind a clock that is ahead: what the original says later than the theft is a fork', async () => {
    const { original, copy } = await copyAhead();
    await takeKey(copy);
    // at first the original's messages might be delayed ones from before
    expect((await post('/v1/heartbeat', original.headers(), original.heartbeatBody())).body.code).toBe('stale_message');
    server.skew += ahead + 2_000;
    expect((await post('/v1/heartbeat', copy.headers(), copy.heartbeatBody())).body.state).toBe('ok');
    const beat = await post('/v1/heartbeat', original.headers(), original.heartbeatBody());
    expect(beat.body.state).toBe('purge');
    expect((await post('/v1/heartbeat', copy.headers(), copy.heartbeatBody())).body.state).toBe('purge');
    expect(await server.events()).toContain('fork_detected');
  });

  test('cannot hide by taking the key again and again either', async () => {
    const { original, copy } = await copyAhead();
    await takeKey(copy);
    for (let minute = 0; minute < 2; minute++) {
      server.skew += 29_000;
      await takeKey(copy);
    }
    const answer = await post('/v1/open', original.openHeaders(), original.openBody());
    expect([answer.status, answer.body.reason]).toEqual([423, 'fork']);
  });

  test('is not suspected in a late duplicate of what the host itself sent before', async () => {
    const host = server.client();
    const old = { headers: host.openHeaders(), body: host.openBody() };
    expect((await host.exchange(server, [masterKeyId])).status).toBe(200);
    expect((await host.exchange(server, [masterKeyId])).status).toBe(200);
    expect((await post('/v1/open', old.headers, old.body)).body.code).toBe('stale_message');
    expect(await server.events()).not.toContain('fork_detected');
  });

  test('that got a key is noticed at the original’s next open: locked, on record, told to purge', async () => {
    const original = server.client();
    const copy = original.copy();
    expect((await copy.exchange(server, [masterKeyId])).status).toBe(200);
    const answer = await original.exchange(server, [masterKeyId]);
    expect([answer.status, answer.body.code, answer.body.reason]).toEqual([423, 'locked', 'fork']);
    const record = (await server.audit()).find(({ event }) => event === 'fork_detected');
    expect(record).toMatchObject({ detail: { call: 'open', locked: true, policy: 'lock+purge' } });
    expect((await copy.exchange(server, [masterKeyId])).status).toBe(423);
    const beat = await post('/v1/heartbeat', copy.headers(), copy.heartbeatBody());
    expect([beat.status, beat.body.state]).toEqual([200, 'purge']);
    expect((await server.audit()).filter(({ event }) => event === 'fork_detected')).toHaveLength(1);
  });

  test('is noticed by the original’s heartbeat, without waiting for its cache', async () => {
    const original = server.client();
    const copy = original.copy();
    await copy.exchange(server, [masterKeyId]);
    const beat = await post('/v1/heartbeat', original.headers(), original.heartbeatBody());
    expect([beat.status, beat.body.state]).toEqual([200, 'purge']);
    expect((await copy.exchange(server, [masterKeyId])).body.reason).toBe('fork');
  });

  test('taken between the two steps is noticed as well', async () => {
    const original = server.client();
    const open = await opened(original);
    const copy = original.copy();
    expect((await copy.exchange(server, [masterKeyId])).status).toBe(200);
    const body = original.releaseBody(String(open.body.session), [masterKeyId]);
    expect((await post('/v1/release', original.headers(), body)).body.reason).toBe('fork');
  });

  test.each([
    ['alert', 'ok', 'enrolled'],
    ['lock', 'ok', 'locked'],
  ] as const)('under the policy %s is refused and recorded; heartbeats say %s', async (policy, state, left) => {
    await server.beside((tx) => tx.updateTable('client').set({ fork_policy: policy }).execute());
    const original = server.client();
    const copy = original.copy();
    await copy.exchange(server, [masterKeyId]);
    expect((await original.exchange(server, [masterKeyId])).status).toBe(423);
    const beat = await post('/v1/heartbeat', copy.headers(), copy.heartbeatBody());
    expect([beat.status, beat.body.state]).toEqual([200, state]);
    const { clientId } = original.credentials;
    const row = await server.beside((tx) =>
      tx.selectFrom('client').select('state').where('id', '=', clientId).execute(),
    );
    expect(row[0]?.state).toBe(left);
  });
});

describe('refusals of who somebody is', () => {
  test('are one and the same answer, and move nothing', async () => {
    const client = server.client();
    const before = await server.everything();
    const good = client.openHeaders();
    const wrongTotp = totpNow(client.credentials.totpSecret, server.now() - 600_000);
    const stranger = `lk-${'0'.repeat(24)}`;
    const answers = [
      await post('/v1/open', { ...good, 'X-Client': stranger }, client.openBody()),
      await post('/v1/open', { ...good, 'X-Auth-Token': 'A'.repeat(43) }, client.openBody()),
      await post('/v1/open', { ...good, 'X-TOTP': wrongTotp }, client.openBody()),
      await post('/v1/open', client.headers(), client.openBody()),
    ];
    expect(await server.everything()).toBe(before);
    answers.push(await post('/v1/open', good, { ...client.openBody(), link: 'A'.repeat(43) }));
    for (const answer of answers) {
      expect(answer.status).toBe(401);
      expect(answer.text).toBe(answers[0]?.text);
      expect(Object.keys(answer.headers)).toEqual(Object.keys(answers[0]?.headers ?? {}));
    }
    expect((await post('/v1/open', {}, client.openBody())).text).toBe(answers[0]?.text);
    const reasons = (await server.audit()).map(({ reason }) => reason);
    expect(reasons).toEqual(expect.arrayContaining(['unknown client', 'wrong token', 'wrong or used totp code']));
  });

  test('lock the pair out after the fifth, with the time to wait, and the right token does not help', async () => {
    const client = server.client();
    const wrong = { ...client.openHeaders(), 'X-Auth-Token': 'A'.repeat(43) };
    const statuses: number[] = [];
    for (let n = 0; n < 6; n++) statuses.push((await post('/v1/open', wrong, client.openBody())).status);
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429]);
    const refused = await post('/v1/open', client.openHeaders(), client.openBody());
    expect([refused.status, refused.body.code]).toEqual([429, 'rate_limited']);
    expect(refused.headers['retry-after']).toBe('1');
    server.skew += 1100;
    expect((await client.exchange(server, [masterKeyId])).status).toBe(200);
  });

  test('in a flood become two records: the first, and later their count', async () => {
    await server.beside((tx) => tx.updateTable('client').set({ lockout: 0 }).execute());
    const client = server.client();
    const before = (await server.audit()).length;
    const wrong = { ...client.openHeaders(), 'X-Auth-Token': 'A'.repeat(43) };
    for (let n = 0; n < 40; n++) expect((await post('/v1/open', wrong, client.openBody())).status).toBe(401);
    expect(await server.audit()).toHaveLength(before + 1);
    await server.stop();
    const records = (await server.audit()).slice(before);
    expect(records.map(({ event }) => event)).toEqual(['request_denied', 'denials_counted']);
    expect(records[1]).toMatchObject({
      reason: 'wrong token',
      detail: { of: 'request_denied', code: 'unauthorized', count: 39 },
    });
  });
});

describe('the other gates', () => {
  test('source refuses an address that is in none of the client’s networks', async () => {
    await server.beside((tx) => tx.updateTable('client').set({ networks: '["10.8.0.0/24"]' }).execute());
    const answer = await server.client().exchange(server, [masterKeyId]);
    expect([answer.status, answer.body.code]).toEqual([403, 'source_refused']);
    const forwarded = { ...server.client().openHeaders(), 'X-Forwarded-For': '10.8.0.1', Forwarded: 'for=10.8.0.1' };
    expect((await post('/v1/open', forwarded, server.client().openBody())).status).toBe(403);
  });

  test('kill stops everybody by the file or the switch, and heartbeats say purge', async () => {
    const client = server.client();
    await server.beside((tx) => tx.insertInto('switch').values({ name: 'kill', since: 1, reason: null }).execute());
    const answer = await client.exchange(server, [masterKeyId]);
    expect([answer.status, answer.body.code]).toEqual([503, 'killed']);
    const beat = await post('/v1/heartbeat', client.headers(), client.heartbeatBody());
    expect([beat.status, beat.body.state]).toEqual([200, 'purge']);
    await server.beside((tx) => tx.deleteFrom('switch').execute());
    expect((await client.exchange(server, [masterKeyId])).status).toBe(200);
    writeFileSync(join(server.made.data, 'KILL'), '');
    expect((await client.exchange(server, [masterKeyId])).body.code).toBe('killed');
  });

  test('kill stops one client by its own switch', async () => {
    const client = server.client();
    const { clientId } = client.credentials;
    await server.beside((tx) => tx.updateTable('client').set({ killed_at: 1 }).where('id', '=', clientId).execute());
    const answer = await client.exchange(server, [masterKeyId]);
    expect([answer.status, answer.body.code, answer.body.reason]).toEqual([423, 'locked', 'killed']);
    expect((await server.client(1).exchange(server, [masterKeyId])).status).toBe(200);
  });

  test('a revoked client is locked out and told to purge', async () => {
    const client = server.client();
    await server.beside((tx) => tx.updateTable('client').set({ state: 'revoked' }).execute());
    const answer = await client.exchange(server, [masterKeyId]);
    expect([answer.status, answer.body.code, answer.body.reason]).toEqual([423, 'locked', 'revoked']);
    const beat = await post('/v1/heartbeat', client.headers(), client.heartbeatBody());
    expect([beat.status, beat.body.state]).toEqual([200, 'purge']);
    const stranger = { ...client.headers(), 'X-Auth-Token': 'A'.repeat(43) };
    expect((await post('/v1/heartbeat', stranger, client.heartbeatBody())).status).toBe(401);
  });

  test('rate lets a burst of 30 through and no more', async () => {
    const client = server.client();
    for (let n = 0; n < 30; n++) expect((await client.exchange(server, [masterKeyId])).status).toBe(200);
    const answer = await client.exchange(server, [masterKeyId]);
    expect([answer.status, answer.body.code]).toEqual([429, 'rate_limited']);
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
  });
});

describe('a heartbeat', () => {
  test('of an honest client is ok with its confirmed and with its stored pending link', async () => {
    const client = server.client();
    expect((await post('/v1/heartbeat', client.headers(), client.heartbeatBody())).body.state).toBe('ok');
    const open = await opened(client);
    expect((await post('/v1/heartbeat', client.headers(), client.heartbeatBody())).body.state).toBe('ok');
    const body = client.releaseBody(String(open.body.session), [masterKeyId]);
    expect((await post('/v1/release', client.headers(), body)).status).toBe(200);
  });

  test('with a wrong proof is refused and accuses nobody', async () => {
    const original = server.client();
    const old = original.copy();
    await original.exchange(server, [masterKeyId]);
    const forged = { ...old.heartbeatBody(), proof: '0'.repeat(64), time: original.tick() };
    expect((await post('/v1/heartbeat', original.headers(), forged)).status).toBe(401);
    expect(await server.events()).not.toContain('fork_detected');
  });

  test('that was heard already is stale', async () => {
    const client = server.client();
    const body = client.heartbeatBody();
    await post('/v1/heartbeat', client.headers(), body);
    expect((await post('/v1/heartbeat', client.headers(), body)).body.code).toBe('stale_message');
  });
});

describe('what a client saw of the audit log', () => {
  test('and this log does not have is recorded once, also for an unknown link', async () => {
    const client = server.client();
    const seen = { seq: 999, head: 'f'.repeat(64) };
    const answer = await post('/v1/open', client.openHeaders(), { ...client.openBody(), seen });
    expect(answer.status).toBe(200);
    const restored = { ...client.openBody(), link: 'A'.repeat(43), seen };
    expect((await post('/v1/open', client.openHeaders(), restored)).status).toBe(401);
    expect((await server.events()).filter((event) => event === 'server_rollback_suspected')).toHaveLength(1);
  });

  test('with another hash under a known number is a rollback too, the same hash is not', async () => {
    const client = server.client();
    const open = await opened(client);
    const { seq, hash } = open.body.head as { seq: number; hash: string };
    await post('/v1/open', client.openHeaders(), { ...client.openBody(), seen: { seq, head: hash } });
    expect(await server.events()).not.toContain('server_rollback_suspected');
    await post('/v1/open', client.openHeaders(), { ...client.openBody(), seen: { seq, head: '0'.repeat(64) } });
    expect(await server.events()).toContain('server_rollback_suspected');
  });

  test('is not believed from somebody with a wrong token', async () => {
    const client = server.client();
    const wrong = { ...client.openHeaders(), 'X-Auth-Token': 'A'.repeat(43) };
    await post('/v1/open', wrong, { ...client.openBody(), seen: { seq: 999, head: 'f'.repeat(64) } });
    expect(await server.events()).not.toContain('server_rollback_suspected');
  });
});

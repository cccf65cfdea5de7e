import { request } from 'node:https';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { newConfig } from '../../keyserver/config.ts';
import { type KeyServer, startKeyServer } from '../../keyserver/key-server.ts';
import { killAll } from '../../keyserver/kill-switch.ts';
import { type Clock, systemRandom } from '../../platform/clock.ts';
import { sha256 } from '../../platform/encoding.ts';
import { createLog } from '../../platform/log.ts';
import { makeTestData, someMoment, type TestData } from './test-data.ts';

let test: TestData;
let server: KeyServer;
const log = createLog({ level: 'silent' });
const metricsToken = systemRandom(32);

/** Serves on a port of the system's choice; the config schema has no such port, since an operator always names one. */
async function serve(metrics = { from: [] as string[], tokenHash: null as string | null }): Promise<KeyServer> {
  const config = {
    ...newConfig({ host: '127.0.0.1', port: 1 }, [], 'tls', metrics),
    listen: { host: '127.0.0.1', port: 0 },
  };
  return startKeyServer({ ...test.data, config }, test.vault, {
    clock: test.clock as Clock,
    random: systemRandom,
    log,
  });
}

beforeEach(async () => {
  test = await makeTestData();
  test.clock.set(Date.now()); // certificates are judged by the real clock
  server = await serve();
});
afterEach(async () => {
  await server.stop();
  await test.remove();
});

interface Answer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly text: string;
}

function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const typed = body === undefined ? headers : { ...headers, 'Content-Type': 'application/json' };
    const options = {
      host: '127.0.0.1',
      port: server.port,
      ca: test.data.ca,
      method,
      path,
      headers: typed,
      agent: false,
    };
    const sent = request(options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const retryAfter = response.headers['retry-after'];
        resolve({ status: response.statusCode ?? 0, retryAfter, text: Buffer.concat(chunks).toString() });
      });
    });
    sent.on('error', reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

const code = (text: string) => (JSON.parse(text) as { code: string }).code;
const guess = () => call('POST', '/v1/enroll', { code: systemRandom(32).toString('base64url') });

describe('POST /v1/enroll', () => {
  it('makes every further guess wait longer, and the owner of the code with it', async () => {
    const waits: number[] = [];
    for (let count = 0; count < 8; count++) {
      const answer = await guess();
      if (answer.status !== 429) continue;
      waits.push(Number(answer.retryAfter));
      test.clock.set(test.clock.now() + Number(answer.retryAfter) * 1000);
    }
    expect(waits.length).toBeGreaterThan(0);
    const { code: good } = await test.add();
    for (let count = 0; count < 3; count++) await guess();
    expect((await call('POST', '/v1/enroll', { code: good })).status).toBe(429);
    test.clock.set(test.clock.now() + 3_600_000);
    expect((await call('POST', '/v1/enroll', { code: good })).status).toBe(201);
  });
  it('answers a wrong code and a spent one with the same words', async () => {
    const { code: good } = await test.add();
    expect((await call('POST', '/v1/enroll', { code: good })).status).toBe(201);
    const spent = await call('POST', '/v1/enroll', { code: good });
    const wrong = await guess();
    expect(spent).toEqual(wrong);
    expect(wrong.status).toBe(401);
  });
  it('hands nothing out while the server is killed', async () => {
    const { code: good } = await test.add();
    await test.data.store.transaction((tx) => killAll(tx, null, someMoment));
    const answer = await call('POST', '/v1/enroll', { code: good });
    expect([answer.status, code(answer.text)]).toEqual([503, 'killed']);
  });
  it('signs a request for a certificate once the code is known', async () => {
    const { code: good, clientId } = await test.add();
    const answer = await call('POST', '/v1/enroll', { code: good, csr: 'not one' });
    expect([answer.status, code(answer.text)]).toEqual([400, 'csr_refused']);
    const certificates = await test.data.store.read((tx) =>
      tx.selectFrom('certificate').select('client_id').where('client_id', '=', clientId).execute(),
    );
    expect(certificates).toEqual([]);
  });
});

describe('GET /metrics', () => {
  it('tells nothing to strangers', async () => {
    for (const authorization of [
      undefined,
      'Bearer ',
      `Bearer ${'A'.repeat(43)}`,
      `Basic ${metricsToken.toString('base64url')}`,
    ]) {
      const headers = authorization === undefined ? {} : { Authorization: authorization };
      const answer = await call('GET', '/metrics', undefined, headers);
      expect([answer.status, code(answer.text)]).toEqual([401, 'unauthorized']);
      expect(answer.text).not.toContain('latchkey_');
    }
  });
  it('is told to the holder of the token, and to allowed sources', async () => {
    await server.stop();
    server = await serve({ from: [], tokenHash: sha256(metricsToken).toString('hex') });
    expect((await call('GET', '/metrics')).status).toBe(401);
    const headers = { Authorization: `Bearer ${metricsToken.toString('base64url')}` };
    expect((await call('GET', '/metrics', undefined, headers)).text).toContain('latchkey_sessions 0');
    await server.stop();
    server = await serve({ from: ['127.0.0.0/8'], tokenHash: null });
    expect((await call('GET', '/metrics')).status).toBe(200);
  });
});

describe('GET /health', () => {
  it('says one word', async () => {
    expect(await call('GET', '/health')).toMatchObject({ status: 200, text: '{"status":"ok"}' });
    await test.data.store.transaction((tx) => killAll(tx, null, someMoment));
    expect(await call('GET', '/health')).toMatchObject({ status: 503, text: '{"status":"killed"}' });
  });
});

describe('KeyServer.stop()', () => {
  it('signs the audit log, the counted refusals with it', async () => {
    for (let count = 0; count < 3; count++) await guess();
    await server.stop();
    const { events, signed } = await test.data.store.read(async (tx) => ({
      events: await tx.selectFrom('audit').select(['seq', 'body']).orderBy('seq').execute(),
      signed: await tx.selectFrom('audit_signature').select('seq').execute(),
    }));
    const last = events.at(-1);
    expect(JSON.parse(last?.body ?? '{}')).toMatchObject({ event: 'denials_counted', detail: { count: 2 } });
    expect(signed.map((row) => row.seq)).toContain(last?.seq);
  });
});

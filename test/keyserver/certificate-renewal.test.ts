import { X509Certificate } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { findCertificate, revokeCertificate } from '../../keyserver/certificates/records.ts';
import { changePolicy, findClient } from '../../keyserver/clients/client-admin.ts';
import { CertificateHolder } from './certificate-holder.ts';
import type { KeyPair } from './certificate-request.ts';
import { call } from './honest-client.ts';
import { RunningServer } from './running-server.ts';

const day = 86_400_000;
let server: RunningServer;
let holder: CertificateHolder;
let count = 0;
beforeAll(async () => {
  server = await RunningServer.start({ clients: 0 });
});
beforeEach(async () => {
  holder = await CertificateHolder.enrol(server, `cloud-${count++}`);
  const free = { ratePerHour: 1_000_000, burst: 10_000, lockout: false };
  await server.beside(async (tx) => changePolicy(tx, await findClient(tx, holder.name), free, server.now()));
});
afterEach(() => holder.close());
afterAll(() => server.remove());

const serialOf = (pair: KeyPair) => new X509Certificate(pair.certificate).serialNumber;

/** Whether calls with this pair are heard. */
async function isGood(pair: KeyPair): Promise<boolean> {
  const agent = holder.agentFor(pair);
  const answer = await holder.heartbeat({ port: server.port, agent });
  agent.destroy();
  return answer.status === 200;
}

const rows = () =>
  server.beside((tx) =>
    tx.selectFrom('certificate').selectAll().where('client_id', '=', holder.id).orderBy('issued_at').execute(),
  );

describe('POST /v1/certificate refuses', () => {
  it.each<[string, () => Promise<number>, number]>([
    [
      'nobody a certificate',
      async () => {
        const agent = holder.agentFor(null);
        const { answer } = await holder.ask({ port: server.port, agent });
        agent.destroy();
        return answer.status;
      },
      401,
    ],
    [
      'a wrong code',
      async () => {
        const headers = { ...holder.client.openHeaders(), 'X-TOTP': '000000' };
        return (await call(holder.line, 'POST', '/v1/certificate', headers, { csr: 'x' })).status;
      },
      401,
    ],
    [
      'no code',
      async () => (await call(holder.line, 'POST', '/v1/certificate', holder.client.headers(), { csr: 'x' })).status,
      401,
    ],
    [
      'what is no request',
      async () =>
        (await call(holder.line, 'POST', '/v1/certificate', holder.client.openHeaders(), { csr: 'x' })).status,
      400,
    ],
    [
      'a member it does not know',
      async () => {
        const body = { csr: 'x', days: 3650 };
        return (await call(holder.line, 'POST', '/v1/certificate', holder.client.openHeaders(), body)).status;
      },
      400,
    ],
    [
      'a locked client',
      async () => {
        await server.beside((tx) =>
          tx.updateTable('client').set({ state: 'locked' }).where('id', '=', holder.id).execute(),
        );
        return (await holder.ask()).answer.status;
      },
      423,
    ],
    [
      'the holder of a revoked one',
      async () => {
        await server.beside(async (tx) =>
          revokeCertificate(tx, await findCertificate(tx, serialOf(holder.held)), server.now()),
        );
        return (await holder.ask()).answer.status;
      },
      401,
    ],
  ])('%s, and issues nothing', async (_, attempt, status) => {
    expect(await attempt()).toBe(status);
    expect(await rows()).toHaveLength(1);
  });
});

describe('a renewal', () => {
  it('gives a new certificate for 30 days and ends the old one at its first use', async () => {
    const old = holder.held;
    await holder.renew();
    const certificate = new X509Certificate(holder.held.certificate);
    expect(certificate.subject).toBe(`CN=${holder.id}`);
    expect(Math.round((certificate.validToDate.getTime() - server.now()) / day)).toBe(30);
    expect(await isGood(old)).toBe(true);
    expect((await holder.open()).status).toBe(200);
    expect(await isGood(old)).toBe(false);
    expect(await isGood(holder.held)).toBe(true);
    const events = (await server.audit()).filter((one) => one.client === holder.id).map((one) => one.event);
    expect(events).toContain('certificate_renewed');
    expect(events).toContain('certificate_replaced');
    expect((await rows()).map((row) => row.revoke_reason)).toEqual(['replaced', null]);
  });
  it('of connections that are open ends the old one there too', async () => {
    expect((await holder.open()).status).toBe(200);
    const line = holder.line;
    const { pair } = await holder.ask();
    expect((await holder.open(line)).status).toBe(200);
    expect(await isGood(pair)).toBe(true);
    expect((await holder.open(line)).status).toBe(401);
  });
});

describe('whatever a client loses on the way, it has one that holds', () => {
  it('the answer: the old one goes on, and the lost one ends with it', async () => {
    const old = holder.held;
    const lost = (await holder.ask()).pair;
    expect(await isGood(old)).toBe(true);
    await holder.renew();
    expect(await isGood(old)).toBe(true);
    expect(await isGood(holder.held)).toBe(true);
    expect(await isGood(old)).toBe(false);
    expect(await isGood(lost)).toBe(false);
  });
  it('its memory, after storing the new one and before using it', async () => {
    const { pair } = await holder.ask();
    await server.stop();
    await server.resume();
    expect(await isGood(holder.held)).toBe(true);
    expect(await isGood(pair)).toBe(true);
    expect(await isGood(holder.held)).toBe(false);
  });
  it('the order: using the earlier of two answers leaves the later one good', async () => {
    const [first, second] = [(await holder.ask()).pair, (await holder.ask()).pair];
    expect(await isGood(first)).toBe(true);
    expect(await isGood(second)).toBe(true);
    expect(await isGood(first)).toBe(false);
  });
  it('a call that is refused is no use', async () => {
    const { pair } = await holder.ask();
    const agent = holder.agentFor(pair);
    const line = { port: server.port, agent };
    const wrong = { ...holder.client.openHeaders(), 'X-Auth-Token': 'A'.repeat(43) };
    expect((await call(line, 'POST', '/v1/open', wrong, holder.client.openBody())).status).toBe(401);
    const stale = { ...holder.client.openBody(), time: 1 };
    expect((await call(line, 'POST', '/v1/open', holder.client.openHeaders(), stale)).status).toBe(409);
    expect(await isGood(holder.held)).toBe(true);
    agent.destroy();
  });
  it('the server’s clock: one issued after it went back ends the earlier all the same', async () => {
    server.skew = -20 * 60_000;
    const { pair } = await holder.ask();
    server.skew = 0;
    const old = holder.held;
    expect(await isGood(pair)).toBe(true);
    expect(await isGood(old)).toBe(false);
  });
  it('many at once: those of one call that were issued before it was used hold until one of them is', async () => {
    const pairs = (await Promise.all([holder.ask(), holder.ask(), holder.ask()])).map(({ pair }) => pair);
    const byIssue = (await rows()).map((row) => row.serial);
    pairs.sort((a, b) => byIssue.indexOf(serialOf(a)) - byIssue.indexOf(serialOf(b)));
    const last = pairs.at(-1) as KeyPair;
    expect(await isGood(last)).toBe(true);
    for (const pair of [holder.held, ...pairs.slice(0, -1)]) expect(await isGood(pair)).toBe(false);
    expect(await isGood(last)).toBe(true);
  });
});

describe('a copy that renews before its original does', () => {
  const keys = ['master_0123abcd.privateKey'];

  it('is noticed as a fork by the original’s next call, ended certificate or not', async () => {
    const { client, line } = holder;
    const stored = { key: Buffer.alloc(64, 7).toString('base64'), grant: client.credentials.grant };
    expect((await call(line, 'PUT', `/v1/keys/${keys[0]}`, client.headers(), stored)).status).toBe(201);
    expect((await client.exchange(line, keys)).status).toBe(200);
    const { pair } = await holder.ask();
    const thief = client.copy();
    const theirs = { port: server.port, agent: holder.agentFor(pair) };
    try {
      expect((await call(theirs, 'POST', '/v1/heartbeat', thief.headers(), thief.heartbeatBody())).status).toBe(200);
      const early = await holder.heartbeat();
      expect(early.status).toBe(401); // its certificate is over; its link is not: nobody took the key yet
      expect(await state()).toBe('enrolled');
      thief.state.time = client.state.time;
      expect((await thief.exchange(theirs, keys)).status).toBe(200);
      expect((await holder.open()).status).toBe(401);
      expect(await state()).toBe('locked');
      expect((await thief.exchange(theirs, keys)).status).toBe(423);
    } finally {
      theirs.agent.destroy();
    }
  });

  const state = () => server.beside(async (tx) => (await findClient(tx, holder.name)).state);
});

import { randomBytes, X509Certificate } from 'node:crypto';
import { request } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { recordAdminCertificate } from '../../keyserver/certificates/admin.ts';
import { issuedFrom } from '../../keyserver/certificates/identity.ts';
import {
  createAuthority,
  issueAdminIdentity,
  issueServerIdentity,
  signClientRequest,
} from '../../keyserver/certificates/issuing.ts';
import { findCertificate, revokeCertificate } from '../../keyserver/certificates/records.ts';
import { changePolicy, findClient, resetClient, revokeClient } from '../../keyserver/clients/client-admin.ts';
import { systemRandom } from '../../platform/clock.ts';
import { type Identity, privateKeyPem } from '../../platform/listening/identity.ts';
import { CertificateHolder } from './certificate-holder.ts';
import { type KeyPair, newRequest } from './certificate-request.ts';
import { type Answer, call, totpNow } from './honest-client.ts';
import { RunningServer } from './running-server.ts';

const day = 86_400_000;
let server: RunningServer;
let holder: CertificateHolder;
let other: CertificateHolder;

/** A server of its own for a group: wrong guesses and a clock that moves leave their traces in its rates. */
function withServer(): void {
  beforeAll(async () => {
    const free = { ratePerHour: 1_000_000, burst: 10_000, lockout: false };
    server = await RunningServer.start({ clients: 1, policy: free });
    holder = await CertificateHolder.enrol(server, 'cloud');
    other = await CertificateHolder.enrol(server, 'other');
    await server.beside(async (tx) => {
      for (const name of ['cloud', 'other']) await changePolicy(tx, await findClient(tx, name), free, server.now());
    });
  });
  afterAll(async () => {
    holder.close();
    other.close();
    await server.remove();
  });
}

const serialOf = (pair: KeyPair) => new X509Certificate(pair.certificate).serialNumber;
const pairOf = ({ certificate, privateKey }: Identity): KeyPair => ({ certificate, key: privateKeyPem(privateKey) });
const lastReason = async () => (await server.audit()).filter((one) => one.event === 'request_denied').at(-1)?.reason;

/** What a wrong token is answered with, to the byte. */
function wrongToken(): Promise<Answer> {
  const headers = { ...holder.client.openHeaders(), 'X-Auth-Token': randomBytes(32).toString('base64url') };
  return call(holder.line, 'POST', '/v1/open', headers, holder.client.openBody());
}

async function openShowing(pair: KeyPair | null, by = holder): Promise<Answer> {
  const agent = by.agentFor(pair);
  try {
    return await by.open({ port: server.port, agent });
  } finally {
    agent.destroy();
  }
}

async function expectRefused(pair: KeyPair | null, reason: string): Promise<void> {
  const reference = await wrongToken();
  const before = await server.everything();
  const answer = await openShowing(pair);
  expect([answer.status, answer.text]).toEqual([reference.status, reference.text]);
  expect(Object.keys(answer.headers)).toEqual(Object.keys(reference.headers));
  expect(await server.everything()).toBe(before);
  await expect.poll(lastReason).toBe(reason);
}

/** A certificate made by somebody else for this client, with the serial of its real one. */
async function forged(): Promise<KeyPair> {
  const authority = await createAuthority('Latchkey key server', Date.now(), randomBytes);
  const { key, csr } = await newRequest();
  const serial = Buffer.from(serialOf(holder.held), 'hex');
  const { pem } = await signClientRequest(authority, csr, holder.id, Date.now(), () => Buffer.from(serial));
  expect(new X509Certificate(pem).serialNumber).toBe(serialOf(holder.held));
  return { key, certificate: pem };
}

describe('a client that was issued a certificate is refused like one with a wrong token', () => {
  withServer();
  it('without one', () => expectRefused(null, 'no certificate'));
  it("with another client's", () => expectRefused(other.held, "another client's certificate"));
  it('with one of another authority, of the same name and serial', async () => {
    await expectRefused(await forged(), 'certificate of another authority');
  });
  it('with one that signed itself', async () => {
    const pair = pairOf(await createAuthority(holder.id, Date.now(), randomBytes));
    await expectRefused(pair, 'certificate of another authority');
  });
  it("with the server's own", async () => {
    await expectRefused(await server.ownIdentity(), 'certificate for another purpose');
  });
  it("with an administrator's", async () => {
    const authority = await server.authority();
    const identity = await issueAdminIdentity(authority, holder.id, Date.now(), randomBytes);
    await server.beside((tx) =>
      recordAdminCertificate(tx, 'anna', issuedFrom(identity.certificate), authority.serial, Date.now()),
    );
    await expectRefused(pairOf(identity), 'certificate for another purpose');
  });
  it('with one that our authority signed and nobody noted', async () => {
    const { key, csr } = await newRequest();
    const { pem } = await signClientRequest(await server.authority(), csr, holder.id, Date.now(), randomBytes);
    await expectRefused({ key, certificate: pem }, 'unknown certificate');
  });
  it('with one for servers that our authority signed in its name', async () => {
    const authority = await server.authority();
    const pair = pairOf(await issueServerIdentity(authority, [holder.id], Date.now(), randomBytes));
    await expectRefused(pair, 'unknown certificate');
  });
  it('and its owner is told, once an hour', async () => {
    await openShowing(null);
    const bodies = await server.beside(async (tx) => {
      const rows = await tx.selectFrom('outbox_message').select('body').execute();
      return rows.map((row) => JSON.parse(row.body) as Record<string, unknown>);
    });
    const told = bodies.filter((one) => one.event === 'certificate_refused' && one.reason === 'no certificate');
    expect(told).toMatchObject([{ client: { name: 'cloud' }, source: '127.0.0.1' }]);
  });
});

it('before its certificate begins it is refused in the same way', async () => {
  const early = await RunningServer.start({ clients: 0 });
  const by = await CertificateHolder.enrol(early, 'cloud');
  early.skew = -2 * 3_600_000;
  const reference = await call(by.line, 'POST', '/v1/open', by.client.headers(), by.client.openBody());
  const answer = await by.open();
  expect([answer.status, answer.text]).toEqual([401, reference.text]);
  const reasons = (await early.audit()).map((one) => one.reason);
  expect(reasons).toContain('certificate not yet valid');
  by.close();
  await early.remove();
});

describe('an expired certificate', () => {
  withServer();
  beforeAll(() => {
    server.skew = 31 * day;
  });
  it('is told as such to who has token and code', async () => {
    const answer = await openShowing(holder.held);
    expect([answer.status, answer.body.code]).toEqual([401, 'certificate_expired']);
  });
  it('is not told with a wrong code or token, on a heartbeat, or when it is another one', async () => {
    const reference = await wrongToken();
    const line = holder.line;
    const { client } = holder;
    const wrongCode = { ...client.openHeaders(), 'X-TOTP': '000000' };
    const answers = [
      await call(line, 'POST', '/v1/open', wrongCode, client.openBody()),
      await holder.heartbeat(),
      await openShowing(other.held),
      await openShowing(await forged()),
    ];
    for (const answer of answers) expect(answer.text).toBe(reference.text);
  });
  it('renews nothing', async () => {
    const { answer } = await holder.ask();
    expect(answer.body.code).toBe('certificate_expired');
  });
});

describe('without a certificate', () => {
  withServer();
  it('health and metrics answer, and a client that was issued none is served', async () => {
    expect((await call(server, 'GET', '/health', {})).status).toBe(200);
    expect((await call(server, 'GET', '/metrics', {})).status).toBe(401);
    const answer = await server.client().exchange(server, ['master_0123abcd.privateKey']);
    expect(answer.status).toBe(200);
  });
  it('until its policy requires one', async () => {
    await server.beside(async (tx) =>
      changePolicy(tx, await findClient(tx, 'client-0'), { certificate: 'required' }, server.now()),
    );
    const client = server.client();
    const answer = await call(server, 'POST', '/v1/open', client.openHeaders(), client.openBody());
    expect(answer.text).toBe((await wrongToken()).text);
    await server.beside(async (tx) =>
      changePolicy(tx, await findClient(tx, 'client-0'), { certificate: 'auto' }, server.now()),
    );
  });
  it('whoever has one may go again when the policy is off', async () => {
    const policy = (certificate: 'off' | 'auto') =>
      server.beside(async (tx) => changePolicy(tx, await findClient(tx, 'other'), { certificate }, server.now()));
    expect((await openShowing(null, other)).status).toBe(401);
    await policy('off');
    expect((await openShowing(null, other)).status).toBe(200);
    const agent = other.agentFor(null);
    expect((await other.ask({ port: server.port, agent })).answer.status).toBe(401);
    agent.destroy();
    await policy('auto');
    expect((await openShowing(null, other)).status).toBe(401);
  });
});

describe('a session that is resumed', () => {
  withServer();
  /** A request on a connection of its own; what came back, and a ticket for the next one. */
  function once(by: CertificateHolder, options: { readonly shows?: KeyPair; readonly session?: Buffer | undefined }) {
    return new Promise<{ status: number; resumed: boolean; session: Buffer | undefined }>((resolve, reject) => {
      const { shows, session } = options;
      let ticket: Buffer | null = null;
      let status = 0;
      const sent = request({
        host: '127.0.0.1',
        port: server.port,
        servername: 'localhost',
        ca: by.ca,
        agent: false,
        method: 'POST',
        path: '/v1/open',
        headers: { ...by.client.openHeaders(), 'Content-Type': 'application/json' },
        ...(shows !== undefined && { key: shows.key, cert: shows.certificate }),
        ...(session !== undefined && { session }),
      });
      let resumed = false;
      const finish = (): void => {
        if (status !== 0 && (ticket !== null || resumed)) resolve({ status, resumed, session: ticket ?? session });
      };
      sent.on('socket', (socket) => {
        const tls = socket as TLSSocket;
        tls.on('session', (given: Buffer) => {
          ticket = given;
          finish();
        });
        tls.on('secureConnect', () => {
          resumed = tls.isSessionReused();
        });
      });
      sent.on('response', (response) => {
        status = response.statusCode ?? 0;
        response.resume();
        finish();
      });
      sent.on('error', reject);
      sent.end(JSON.stringify(by.client.openBody()));
    });
  }

  it('has the certificate it began with, and that one is judged anew', async () => {
    const by = await CertificateHolder.enrol(server, 'resumed');
    const first = await once(by, { shows: by.held });
    expect(first).toMatchObject({ status: 200, resumed: false });
    const second = await once(by, { session: first.session });
    expect(second).toMatchObject({ status: 200, resumed: true });
    await server.beside(async (tx) =>
      revokeCertificate(tx, await findCertificate(tx, serialOf(by.held)), server.now()),
    );
    expect(await once(by, { session: second.session })).toMatchObject({ status: 401, resumed: true });
    expect(await once(by, { session: first.session })).toMatchObject({ status: 401, resumed: true });
    by.close();
  });
  it('and began without one stays without', async () => {
    const anonymous = await once(holder, {});
    expect(anonymous).toMatchObject({ status: 401, resumed: false });
    const again = await once(holder, { session: anonymous.session, shows: holder.held });
    expect(again).toMatchObject({ status: 401, resumed: true });
  });
  it('does not outlive the certificate', async () => {
    const first = await once(holder, { shows: holder.held });
    expect(first.status).toBe(200);
    server.skew = 31 * day;
    expect(await once(holder, { session: first.session })).toMatchObject({ status: 401, resumed: true });
  });
});

describe('the end of a client', () => {
  withServer();
  it('ends its certificate on connections that are open', async () => {
    const by = await CertificateHolder.enrol(server, 'ending');
    expect((await by.open()).status).toBe(200);
    await server.beside(async (tx) => {
      await revokeCertificate(tx, await findCertificate(tx, serialOf(by.held).slice(0, 12)), server.now());
    });
    const answer = await by.open();
    expect(answer.text).toBe((await wrongToken()).text);
    by.close();
  });
  it('a revoked one is told to drop its keys, if it shows its own certificate', async () => {
    const by = await CertificateHolder.enrol(server, 'leaving');
    await server.beside(async (tx) => revokeClient(tx, await findClient(tx, 'leaving'), server.now()));
    expect((await by.heartbeat()).body).toMatchObject({ state: 'purge' });
    expect((await by.open()).status).toBe(401);
    const agent = by.agentFor(null);
    expect((await by.heartbeat({ port: server.port, agent })).status).toBe(401);
    agent.destroy();
    by.close();
  });
  it('a reset one starts without a certificate again', async () => {
    const by = await CertificateHolder.enrol(server, 'again');
    const { code } = await server.beside(async (tx) =>
      resetClient(tx, await findClient(tx, 'again'), false, server.now(), systemRandom),
    );
    const { body } = await call(server, 'POST', '/v1/enroll', {}, { code });
    expect(body.certificate).toBeUndefined();
    const headers = { 'X-Client': by.id, 'X-Auth-Token': String(body.token) };
    const totp = { 'X-TOTP': totpNow(String(body.totpSecret), server.now()) };
    const open = { ...by.client.openBody(), link: body.link };
    expect((await call(server, 'POST', '/v1/open', { ...headers, ...totp }, open)).status).toBe(200);
    const shown = await call(by.line, 'POST', '/v1/open', { ...headers, ...totp }, { ...open, time: by.client.tick() });
    expect(shown.status).toBe(401);
    by.close();
  });
});

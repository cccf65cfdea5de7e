import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { bundleOf, readAuthorities } from '../../keyserver/certificates/authorities.ts';
import { createAuthority } from '../../keyserver/certificates/issuing.ts';
import { assertMaySwitch, beginRollover, finishRollover, readRollover } from '../../keyserver/certificates/rollover.ts';
import { changePolicy, findClient } from '../../keyserver/clients/client-admin.ts';
import { renewServerIdentity } from '../../keyserver/server-secrets.ts';
import { systemRandom } from '../../platform/clock.ts';
import { CertificateHolder } from './certificate-holder.ts';
import { call } from './honest-client.ts';
import { RunningServer } from './running-server.ts';

const free = { ratePerHour: 1_000_000, burst: 10_000, lockout: false };
let server: RunningServer;
let holders: CertificateHolder[];

async function start(clients: number, holding: number): Promise<void> {
  server = await RunningServer.start({ clients, policy: free });
  holders = [];
  for (let index = 0; index < holding; index++) holders.push(await CertificateHolder.enrol(server, `host-${index}`));
  await server.beside(async (tx) => {
    for (const { name } of holders) await changePolicy(tx, await findClient(tx, name), free, server.now());
  });
}

async function stop(): Promise<void> {
  for (const holder of holders) holder.close();
  await server.remove();
}

const phase = async () => (await server.beside(readRollover)).phase;

async function begin(): Promise<void> {
  const authority = await createAuthority('Latchkey key server 2', server.now(), systemRandom);
  const vault = await server.vault();
  await server.beside((tx) => beginRollover(tx, vault, authority, server.now()));
  await server.refresh();
}

async function switchOver(force = false): Promise<void> {
  const issuer = await server.beside((tx) => assertMaySwitch(tx, force));
  await renewServer(issuer);
}

async function renewServer(issuer?: string): Promise<void> {
  const vault = await server.vault();
  const store = await server.sideStore();
  await renewServerIdentity(store, vault, ['127.0.0.1', 'localhost'], server.now(), systemRandom, issuer);
  await server.refresh();
}

async function finish(force = false): Promise<void> {
  await server.beside((tx) => finishRollover(tx, force, server.now()));
  await server.refresh();
}

/** A heartbeat, what it says to trust, and the renewal that follows from that. */
async function follow(holder: CertificateHolder): Promise<void> {
  const { status, body } = await holder.heartbeat();
  expect(status).toBe(200);
  if (typeof body.ca !== 'string' || body.ca === holder.ca) return;
  holder.ca = body.ca;
  holder.close();
  const signing = new X509Certificate(holder.ca);
  if (!new X509Certificate(holder.held.certificate).verify(signing.publicKey)) await holder.renew();
  expect((await holder.heartbeat()).status).toBe(200);
}

describe('a rollover', () => {
  beforeEach(() => start(1, 2));
  afterEach(stop);

  it('goes from one authority to the next without a refused call', async () => {
    const [first] = await server.beside(readAuthorities);
    expect((await holders[0]?.heartbeat())?.body.ca).toBeUndefined();
    await begin();
    expect(await phase()).toBe('begun');
    for (const holder of holders) {
      await follow(holder);
      expect((holder.ca.match(/BEGIN/g) ?? []).length).toBe(2);
    }
    const late = await CertificateHolder.enrol(server, 'late'); // it is told both at once
    expect(late.ca).toBe(holders[0]?.ca);
    await expect(switchOver()).rejects.toMatchObject({ code: 'clients_behind', exit: 3 });
    const { clients } = await server.beside(readRollover);
    expect(clients.map(({ name, ready, found }) => [name, ready, found])).toEqual([
      ['client-0', false, 'has no certificate to tell by'],
      ['host-0', true, 'shows its certificate'],
      ['host-1', true, 'shows its certificate'],
      ['late', true, 'enrolled since'],
    ]);
    await switchOver(true);
    expect(await phase()).toBe('switched');
    for (const holder of [...holders, late]) {
      holder.close();
      expect((await holder.open()).status).toBe(200);
    }
    await finish(true);
    expect(await phase()).toBe('none');
    for (const holder of [...holders, late]) {
      await follow(holder);
      expect(holder.ca).toBe(bundleOf(await server.beside(readAuthorities)));
      expect(holder.ca).not.toContain(first?.certificate);
      expect((await holder.open()).status).toBe(200);
    }
    late.close();
    expect(readFileSync(join(server.made.data, 'ca.pem'), 'utf8')).toBe(holders[0]?.ca);
    const secrets = await server.beside((tx) => tx.selectFrom('server_secret').select('name').execute());
    expect(secrets.filter(({ name }) => name.startsWith('ca-key:'))).toHaveLength(1);
    const events = await server.events();
    for (const event of ['authority_made', 'server_certificate_renewed', 'authority_ended']) {
      expect(events).toContain(event);
    }
  });

  it('refuses steps out of their order, and changes nothing by that', async () => {
    const before = await server.beside(readAuthorities);
    await expect(switchOver(true)).rejects.toMatchObject({ code: 'rollover_not_begun', exit: 3 });
    await expect(finish(true)).rejects.toMatchObject({ code: 'rollover_not_begun', exit: 3 });
    expect(await server.beside(readAuthorities)).toEqual(before);
    await begin();
    await expect(begin()).rejects.toMatchObject({ code: 'rollover_under_way', exit: 3 });
    await expect(finish(true)).rejects.toMatchObject({ code: 'rollover_not_switched', exit: 3 });
    await expect(switchOver()).rejects.toMatchObject({ code: 'clients_behind' });
    await switchOver(true);
    await expect(finish()).rejects.toMatchObject({ code: 'clients_behind' });
    expect(await server.beside(readAuthorities)).toHaveLength(2);
  });

  it('is told to whoever was away at the beginning, and ends what it did not renew', async () => {
    const [here, away] = holders as [CertificateHolder, CertificateHolder];
    await begin();
    await follow(here);
    await switchOver(true);
    away.close();
    await expect(away.heartbeat()).rejects.toThrow(); // it does not know the server any more, and says nothing to it
    await finish(true);
    away.ca = bundleOf(await server.beside(readAuthorities)); // its owner brought it the new ca.pem
    away.close();
    expect((await away.heartbeat()).status).toBe(401);
    expect((await here.heartbeat()).status).toBe(200);
    expect((await server.audit()).at(-1)).toMatchObject({ reason: 'certificate of another authority' });
  });

  it('renews the server’s certificate by the old authority until it is told to switch', async () => {
    await begin();
    await renewServer();
    expect(await phase()).toBe('begun');
    const agent = new Agent({ ca: server.made.ca, servername: 'localhost' });
    expect((await call({ port: server.port, agent }, 'GET', '/health', {})).status).toBe(200);
    agent.destroy();
  });
});

describe('under load', () => {
  beforeAll(() => start(0, 4));
  afterAll(stop);

  it('new server certificates and renewals refuse nobody', async () => {
    let busy = true;
    const statuses = new Map<number, number>();
    const work = holders.map(async (holder, index) => {
      for (let round = 0; busy || round < 3; round++) {
        if (round % 3 === index % 3) await holder.renew();
        const answer = round % 2 === 0 ? await holder.open() : await holder.heartbeat();
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
        if (round % 4 === 3) holder.close(); // a new handshake
      }
    });
    for (let count = 0; count < 5; count++) await renewServer();
    busy = false;
    await Promise.all(work);
    expect([...statuses.keys()]).toEqual([200]);
    expect(statuses.get(200)).toBeGreaterThan(20);
    const live = await server.beside((tx) =>
      tx
        .selectFrom('certificate')
        .select('serial')
        .where('purpose', '=', 'server')
        .where('revoked_at', 'is', null)
        .execute(),
    );
    expect(live).toHaveLength(1);
  });
});

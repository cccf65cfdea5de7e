import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { COMMAND } from '../../wireguard/hub/actor.ts';
import { ACTIVE_MS, INACTIVE_MS } from '../../wireguard/peers/peer-status.ts';
import { allAtOnce } from './at-once.ts';
import { type HeardHub, type Joining, startHeardHub } from './heard-hub.ts';
import { testInterface } from './hub-store.ts';
import type { HubReply, HubWish } from './running-hub.ts';

const WG1 = { name: 'wg1', networks: ['10.0.2.0/24'], addresses: ['10.0.2.1/24'], listenPort: 51821 };
const TINY = { name: 'wg2', networks: ['10.0.3.0/29'], addresses: ['10.0.3.1/29'], listenPort: 51822 };

/** One that another hub keeps. */
const FAR = { name: 'wg3', networks: ['10.0.4.0/24'], addresses: ['10.0.4.1/24'], listenPort: 51823 };

/** What holds of spokes and clusters at the hub's API, whatever the database. */
export function testSpokes(config: () => HubWish['config'] | Promise<HubWish['config']>): void {
  let hub: HeardHub;
  const get = (path: string, token = 'writer') => hub.request('GET', path, { token });
  const post = (path: string, body?: unknown) =>
    hub.request('POST', path, { token: 'writer', ...(body === undefined ? {} : { body }) });
  const put = (path: string, body: unknown) => hub.request('PUT', path, { token: 'writer', body });
  const drop = (path: string, token = 'writer') => hub.request('DELETE', path, { token });
  const joined = async (name: string, joining: Joining = {}): Promise<HubReply['body']> => {
    const answer = await hub.join(name, joining);
    expect(answer).toMatchObject({ status: 201 });
    return answer.body.spoke;
  };
  const named = async (query: string): Promise<string[]> =>
    (await get(`/api/spoke/list?${query}`)).body.spokes.map(({ name }: { name: string }) => name);
  const statusOf = async (id: string): Promise<string> => (await get(`/api/spoke/${id}/status`)).body.spoke.status;
  const clusterOf = async (name: string): Promise<HubReply['body']> => {
    const { clusters } = (await get('/api/proxmox/clusters?limit=1000')).body;
    return clusters.find((one: { name: string }) => one.name === name);
  };
  /** All that a refusal must leave as it was. */
  const everything = async () =>
    JSON.stringify(
      await hub.data.store.read(async (db) => [
        await db.selectFrom('peer').selectAll().orderBy('id').execute(),
        await db.selectFrom('free_range').selectAll().orderBy('interface').orderBy('first').execute(),
        await db.selectFrom('proxmox_cluster').selectAll().orderBy('id').execute(),
        await db.selectFrom('proxmox_node').selectAll().orderBy('spoke_id').execute(),
        await db.selectFrom('audit').select('seq').orderBy('seq').execute(),
      ]),
    );

  beforeAll(async () => {
    hub = await startHeardHub({
      tokens: [
        { name: 'reader', scopes: ['peers:read'] },
        { name: 'backend', scopes: ['devices'] },
      ],
      more: [testInterface(WG1), testInterface(TINY), testInterface(FAR)],
      config: { ...(await config()), interfaces: ['wg0', 'wg1', 'wg2'] },
    });
  });
  afterAll(() => hub.stop());

  describe('who may', () => {
    test.each([
      ['GET', '/api/spoke/list'],
      ['GET', '/api/spoke/0/status'],
      ['DELETE', '/api/spoke/0'],
      ['GET', '/api/proxmox/clusters'],
      ['GET', '/api/proxmox/clusters/0'],
      ['PUT', '/api/proxmox/clusters/0'],
      ['DELETE', '/api/proxmox/clusters/0'],
    ])('%s %s: nobody without credentials, and no token for devices', async (method, path) => {
      const body = method === 'PUT' ? { body: {} } : {};
      expect((await hub.request(method, path, body)).status).toBe(401);
      const refused = await hub.request(method, path, { token: 'backend', ...body });
      expect(refused).toMatchObject({ status: 403, body: { code: 'SCOPE_MISSING' } });
      if (method === 'GET') return;
      expect(await hub.request(method, path, { token: 'reader', ...body })).toMatchObject({ status: 403 });
    });
  });

  describe('GET /api/spoke/list', () => {
    test.each([
      ['limit=0', 'limit'],
      ['limit=501', 'limit'],
      ['after=x', 'after'],
      ['status=deleted', 'status'],
      ['status=', 'status'],
      ['os=beos', 'os'],
      ['os=Linux', 'os'],
      ['interface=wg9', 'interface'],
      ['kind=device', 'query'],
    ])('refuses ?%s, naming it', async (query, field) => {
      const answer = await get(`/api/spoke/list?${query}`);
      expect([400, 404]).toContain(answer.status);
      expect(answer.body).toMatchObject({ field });
    });

    test('has spokes and no other peers, whichever door they came in by', async () => {
      for (const kind of ['device', 'gateway', 'spoke']) {
        expect(
          (await post('/api/peers', { name: `by-${kind}`, kind, interface: 'wg1', platform: 'Debian 13' })).status,
        ).toBe(201);
      }
      await joined('by-token', { interface: 'wg1' });
      const { body } = await get('/api/spoke/list?interface=wg1', 'reader');
      expect(body).toMatchObject({
        success: true,
        spokes: [
          { name: 'by-spoke', kind: 'spoke', os: 'Debian 13', osFamily: 'linux' },
          { name: 'by-token', kind: 'spoke', os: 'linux', osFamily: 'linux', proxmox: null, status: 'pending' },
        ],
        counts: { total: 2, pending: 2, active: 0, inactive: 0, disabled: 0 },
        next: null,
      });
    });

    test('is asked for by family of systems, which is that of the installer, and by status; counts are of the family', async () => {
      await joined('w', { platform: 'windows', os: 'Microsoft Windows 11 Pro', interface: 'wg2' });
      await joined('m', { platform: 'macos', os: 'macOS 15.6', interface: 'wg2' });
      const void_ = await joined('v', { os: 'Void', interface: 'wg2' });
      const pve = await joined('p', { node: 'pve1', os: 'Debian GNU/Linux 13 (trixie)', interface: 'wg2' });
      await post(`/api/peers/${void_.id}/disable`);
      expect(pve).toMatchObject({ os: 'Debian GNU/Linux 13 (trixie)', osFamily: 'proxmox' });
      for (const [query, names] of [
        ['', ['w', 'm', 'v', 'p']],
        ['&os=windows', ['w']],
        ['&os=macos', ['m']],
        ['&os=linux', ['v']],
        ['&os=proxmox', ['p']],
        ['&status=disabled', ['v']],
        ['&status=pending', ['w', 'm', 'p']],
        ['&os=linux&status=disabled', ['v']],
        ['&os=linux&status=pending', []],
      ] as const) {
        expect(await named(`interface=wg2${query}`), query).toEqual(names);
      }
      const { counts } = (await get('/api/spoke/list?interface=wg2&os=linux&status=pending')).body;
      expect(counts).toEqual({ total: 1, pending: 0, active: 0, inactive: 0, disabled: 1 });
      const node = (await get('/api/spoke/list?interface=wg2&os=proxmox')).body.spokes[0].proxmox;
      expect(node).toEqual({ nodeName: 'pve1', clusterId: null, clusterName: null, version: '9.1.6' });
      for (const { id } of (await get('/api/spoke/list?interface=wg2')).body.spokes) await drop(`/api/spoke/${id}`);
    });

    test('lists every interface page by page, each spoke once, also while one is removed', async () => {
      const mine = [];
      for (let number = 0; number < 7; number += 1) {
        mine.push(await joined(`page-${number}`, { interface: number % 2 === 0 ? 'wg0' : 'wg1' }));
      }
      const whole = await named('limit=500');
      const seen: string[] = [];
      for (let query = 'limit=2'; ; ) {
        const { spokes, next, counts } = (await get(`/api/spoke/list?${query}`)).body;
        seen.push(...spokes.map(({ name }: { name: string }) => name));
        if (seen.length === 2) await drop(`/api/spoke/${mine[6].id}`);
        expect(counts.total).toBe(whole.length - 1 + (seen.length === 2 ? 1 : 0));
        if (next === null) break;
        expect(spokes).toHaveLength(2);
        query = `limit=2&after=${next}`;
      }
      expect(seen).toEqual(whole.filter((name) => name !== 'page-6'));
      expect(new Set(seen).size).toBe(seen.length);
    });
  });

  describe('GET /api/spoke/:id/status', () => {
    test('tells of a spoke what the last look at the interface showed', async () => {
      const spoke = await joined('seen', { interface: 'wg1' });
      const at = hub.clock.now() + 10_000;
      hub.heard(spoke.publicKey, at - 1000, 'wg1');
      const status = () => get(`/api/spoke/${spoke.id}/status`, 'reader');
      expect((await status()).body.wireguard).toBeNull(); // nobody has looked since it joined
      await hub.at(at);
      expect((await status()).body).toMatchObject({
        success: true,
        spoke: { id: spoke.id, status: 'active', rx: 1000, tx: 500, endpoint: '192.0.2.7:4242' },
        interfaceUp: true,
        lookedAt: new Date(at).toISOString(),
        wireguard: {
          endpoint: '192.0.2.7:4242',
          allowedIPs: spoke.addresses,
          lastHandshake: new Date(at - 1000).toISOString(),
          rx: 1000,
          tx: 500,
        },
      });
      await post(`/api/peers/${spoke.id}/disable`);
      await hub.at(at + 10_000);
      expect((await status()).body).toMatchObject({
        spoke: { status: 'disabled' },
        interfaceUp: true,
        wireguard: null,
      });
    });

    test('tells of a spoke also while its interface is down', async () => {
      const spoke = await joined('dark', { interface: 'wg1' });
      hub.driver('wg1').destroy();
      await hub.at(hub.clock.now() + 10_000);
      const { status, body } = await get(`/api/spoke/${spoke.id}/status`);
      expect([status, body.spoke.id, body.interfaceUp, body.wireguard]).toEqual([200, spoke.id, false, null]);
      hub.driver('wg1').create();
      await hub.watch('wg1').tidy();
    });
  });

  test('a spoke of an interface that another hub keeps is listed and removed; what that shows is for the other to say', async () => {
    const spoke = await joined('far', { interface: 'wg3' });
    expect(await named('interface=wg3')).toEqual(['far']);
    expect((await get(`/api/spoke/${spoke.id}/status`)).body).toMatchObject({
      spoke: { id: spoke.id, status: 'pending' },
      interfaceUp: null,
      lookedAt: null,
      wireguard: null,
    });
    expect(await drop(`/api/spoke/${spoke.id}`)).toMatchObject({ status: 200, body: { live: false } });
    expect(await named('interface=wg3')).toEqual([]);
  });

  describe('DELETE /api/spoke/:id', () => {
    test.each(['nobody', '%00', 'a'.repeat(300)])('of %j is 404, as is its status, and nothing changes', async (id) => {
      const before = await everything();
      for (const answer of [await drop(`/api/spoke/${id}`), await get(`/api/spoke/${id}/status`)]) {
        expect(answer).toMatchObject({ status: 404, body: { code: 'SPOKE_NOT_FOUND' } });
      }
      expect(await everything()).toBe(before);
    });

    test('of a peer of another kind is 404, and that stays', async () => {
      const { peer } = (await post('/api/peers', { name: 'phone' })).body;
      const before = await everything();
      for (const answer of [await drop(`/api/spoke/${peer.id}`), await get(`/api/spoke/${peer.id}/status`)]) {
        expect(answer).toMatchObject({ status: 404, body: { code: 'SPOKE_NOT_FOUND' } });
      }
      expect(await everything()).toBe(before);
      expect((await hub.driver().read()).peers.has(peer.publicKey)).toBe(true);
    });

    test('takes a spoke off the interface before the answer; its row stays, and its address is the next one’s', async () => {
      const spoke = await joined('first', { node: 'pve1', cluster: 'brief' });
      expect((await hub.driver().read()).peers.has(spoke.publicKey)).toBe(true);
      const answer = await drop(`/api/spoke/${spoke.id}`);
      expect(answer).toMatchObject({
        status: 200,
        body: {
          success: true,
          live: true,
          spoke: { id: spoke.id, status: 'deleted', proxmox: { clusterName: 'brief' } },
        },
      });
      expect((await hub.driver().read()).peers.has(spoke.publicKey)).toBe(false);
      const row = await hub.data.store.read((db) =>
        db.selectFrom('peer').select(['status', 'deleted_at']).where('id', '=', spoke.id).executeTakeFirst(),
      );
      expect([row?.status, Number(row?.deleted_at)]).toEqual(['deleted', hub.clock.now()]);
      expect((await hub.audit()).at(-1)).toMatchObject({
        event: 'peer_removed',
        source: '127.0.0.1',
        detail: { by: 'token:writer', peer: spoke.id },
      });
      expect((await joined('second')).addresses).toEqual(spoke.addresses);
      expect(await clusterOf('brief')).toMatchObject({ status: 'empty', nodes: { total: 0 } });
    });

    test('of a spoke that somebody else removes at that very moment is 404', async () => {
      const { id } = await joined('raced');
      const { peers } = hub.watch().hub;
      const seen = vi.spyOn(peers, 'get').mockImplementationOnce(async () => {
        const peer = await peers.get(id);
        await peers.remove(id, COMMAND);
        return peer;
      });
      expect(await drop(`/api/spoke/${id}`)).toMatchObject({ status: 404, body: { code: 'SPOKE_NOT_FOUND' } });
      expect(seen).toHaveBeenCalledTimes(2);
      seen.mockRestore();
    });

    test('asked for by ten at once is done once', async () => {
      const { id } = await joined('wanted');
      const answers = await allAtOnce(hub.data.store, 10, () => drop(`/api/spoke/${id}`));
      const statuses = answers.map(({ status, body }) => body.code ?? status).sort();
      expect(statuses).toEqual([200, ...Array.from({ length: 9 }, () => 'SPOKE_NOT_FOUND')]);
      const removals = (await hub.audit()).filter(
        ({ event, detail }) => event === 'peer_removed' && detail.peer === id,
      );
      expect(removals).toHaveLength(1);
    });
  });

  describe('customIP', () => {
    test.each([
      ['10.9.9.9', 400, 'INVALID_ADDRESS'],
      ['10.0.1.1', 400, 'INVALID_ADDRESS'],
      ['10.0.1.0', 400, 'INVALID_ADDRESS'],
      ['10.0.1.255', 400, 'INVALID_ADDRESS'],
      ['10.0.1.300', 400, 'INVALID_ADDRESS'],
      ['', 400, 'INVALID_ADDRESS'],
    ])('%j is refused, and nothing changes', async (customIP, status, code) => {
      const before = await everything();
      expect(await hub.join('x', { customIP })).toMatchObject({ status, body: { code, field: 'customIP' } });
      expect(await everything()).toBe(before);
    });

    test('is the spoke’s from the token on, and somebody else’s after its end', async () => {
      const customIP = '10.0.1.99';
      const spoke = await joined('wished', { customIP });
      expect(spoke.addresses).toEqual(['10.0.1.99/32', 'fd42:4242:1::63/128']);
      for (const taken of [customIP, 'fd42:4242:1::63']) {
        const before = await everything();
        expect(await hub.join('x', { customIP: taken })).toMatchObject({ status: 409, body: { code: 'IP_TAKEN' } });
        expect(await post('/api/peers', { name: 'x', address: taken })).toMatchObject({ body: { code: 'IP_TAKEN' } });
        expect(await everything()).toBe(before);
      }
      await drop(`/api/spoke/${spoke.id}`);
      expect((await joined('next', { customIP })).addresses).toEqual(spoke.addresses);
    });

    test('a network that is full is told as 503, and one spoke less makes room for one', async () => {
      const five = [];
      for (let number = 0; number < 5; number += 1) five.push(await joined(`full-${number}`, { interface: 'wg2' }));
      const before = await everything();
      expect(await hub.join('x', { interface: 'wg2' })).toMatchObject({
        status: 503,
        body: { code: 'POOL_EXHAUSTED' },
      });
      expect(await everything()).toBe(before);
      await drop(`/api/spoke/${five[2].id}`);
      expect((await joined('fits', { interface: 'wg2' })).addresses).toEqual(five[2].addresses);
    });
  });

  describe('handshakes', () => {
    test('make a spoke active below three minutes, inactive from five on, and between it stays what it was', async () => {
      const spoke = await joined('heard');
      const counts = async () => (await get('/api/spoke/list')).body.counts;
      const expected = async (status: string) => {
        expect(await statusOf(spoke.id)).toBe(status);
        expect(await named(`status=${status}&limit=500`)).toContain('heard');
        for (const other of ['pending', 'active', 'inactive', 'disabled'].filter((one) => one !== status)) {
          expect(await named(`status=${other}&limit=500`)).not.toContain('heard');
        }
      };
      const before = await counts();
      const start = hub.clock.now();
      await hub.at(start + INACTIVE_MS); // who was never heard is pending, however long
      await expected('pending');
      hub.heard(spoke.publicKey, start);
      await hub.at(start + ACTIVE_MS); // heard of too late to be active, too early to be inactive
      await expected('pending');
      await hub.at(start + ACTIVE_MS - 1);
      await expected('active');
      expect(await counts()).toMatchObject({ pending: before.pending - 1, active: before.active + 1 });
      for (const age of [ACTIVE_MS, ACTIVE_MS + 1, INACTIVE_MS - 1]) {
        await hub.at(start + age);
        await expected('active');
      }
      await hub.at(start + INACTIVE_MS);
      await expected('inactive');
      expect(await counts()).toMatchObject({ active: before.active, inactive: before.inactive + 1 });
      const later = start + 3_600_000;
      hub.heard(spoke.publicKey, later);
      for (const age of [INACTIVE_MS - 1, ACTIVE_MS + 1, ACTIVE_MS]) {
        await hub.at(later + age);
        await expected('inactive');
      }
      await hub.at(later + ACTIVE_MS - 1);
      await expected('active');
      await hub.at(later + INACTIVE_MS + 1);
      await expected('inactive');
    });

    test('of a spoke that is switched off or removed change nothing', async () => {
      const [off, gone] = [await joined('off'), await joined('gone')];
      await post(`/api/peers/${off.id}/disable`);
      await drop(`/api/spoke/${gone.id}`);
      const rows = () =>
        hub.data.store.read((db) =>
          db.selectFrom('peer').select(['status', 'last_handshake']).where('id', 'in', [off.id, gone.id]).execute(),
        );
      const before = await rows();
      const start = hub.clock.now();
      for (const { publicKey, addresses } of [off, gone]) {
        // an interface that shows them all the same, before it is put right
        const peer = { publicKey, presharedKey: null, allowedIPs: addresses, endpoint: null, keepalive: 25 };
        await hub.driver().apply({ set: [peer], remove: [] });
        hub.heard(publicKey, start);
      }
      await hub.at(start + 1);
      expect(await statusOf(off.id)).toBe('disabled');
      expect((await get(`/api/spoke/${gone.id}/status`)).status).toBe(404);
      await hub.watch().tidy();
      await hub.at(start + INACTIVE_MS);
      expect(await statusOf(off.id)).toBe('disabled');
      expect((await rows()).map(({ status }) => status).sort()).toEqual(before.map(({ status }) => status).sort());
    });

    test('of its nodes make a cluster all-active, degraded and critical', async () => {
      const nodes = [];
      for (const node of ['pve1', 'pve2', 'pve3']) nodes.push(await joined(node, { node, cluster: 'homelab' }));
      const is = async (status: string) => expect(await clusterOf('homelab')).toMatchObject({ status });
      await is('critical'); // registered, and none was heard yet
      const start = hub.clock.now();
      const [first, second, third] = nodes;
      hub.heard(first.publicKey, start);
      await hub.at(start + 1);
      await is('critical');
      hub.heard(second.publicKey, start);
      await hub.at(start + 2);
      await is('degraded');
      hub.heard(third.publicKey, start + 60_000);
      await hub.at(start + 60_000);
      await is('all-active');
      hub.heard(first.publicKey, start + 120_000);
      await hub.at(start + INACTIVE_MS - 1);
      await is('all-active');
      await hub.at(start + INACTIVE_MS);
      await is('degraded');
      await hub.at(start + 60_000 + INACTIVE_MS);
      await is('critical');
      const { cluster } = (await get(`/api/proxmox/clusters/${(await clusterOf('homelab')).id}`, 'reader')).body;
      expect(cluster.nodes).toEqual({ total: 3, pending: 0, active: 1, inactive: 2, disabled: 0 });
      expect(cluster.members).toMatchObject([
        { nodeName: 'pve1', status: 'active', spokeId: first.id, version: '9.1.6', addresses: first.addresses },
        { nodeName: 'pve2', status: 'inactive', lastHandshake: new Date(start).toISOString() },
        { nodeName: 'pve3', status: 'inactive' },
      ]);
    });
  });

  describe('Proxmox clusters', () => {
    test('count right after each door by which a node leaves', async () => {
      const nodes = [];
      for (const node of ['n1', 'n2', 'n3']) nodes.push(await joined(node, { node, cluster: 'doors' }));
      const [first, second, third] = nodes;
      const left = async () => (await clusterOf('doors')).nodes.total;
      expect(await left()).toBe(3);
      await drop(`/api/spoke/${first.id}`);
      expect(await left()).toBe(2);
      await drop(`/api/peers/${second.id}`);
      expect(await left()).toBe(1);
      const over = { expires_at: hub.clock.now() };
      await hub.data.store.transaction((tx) => tx.updateTable('peer').set(over).where('id', '=', third.id).execute());
      await hub.watch().tidy();
      expect(await left()).toBe(0);
      expect((await clusterOf('doors')).status).toBe('empty');
    });

    test.each([
      ['GET', 'nobody', undefined],
      ['PUT', 'nobody', {}],
      ['DELETE', 'nobody', undefined],
      ['GET', '%00', undefined],
      ['DELETE', 'a'.repeat(300), undefined],
    ])('%s of %j is 404', async (method, id, body) => {
      const before = await everything();
      const ask = { token: 'writer', ...(body === undefined ? {} : { body }) };
      const answer = await hub.request(method, `/api/proxmox/clusters/${id}`, ask);
      expect(answer).toMatchObject({ status: 404, body: { code: 'CLUSTER_NOT_FOUND' } });
      expect(await everything()).toBe(before);
    });

    test.each<[object, string]>([
      [{ name: 'other' }, 'name'],
      [{ status: 'all-active' }, 'status'],
      [{ datacenter: 7 }, 'datacenter'],
      [{ datacenter: 'x'.repeat(65) }, 'datacenter'],
      [{ description: 'a\u0000b' }, 'description'],
    ])('PUT %j is refused, naming the field, and nothing changes', async (body, field) => {
      await joined('kept', { node: 'pve1', cluster: 'kept' });
      const { id } = await clusterOf('kept');
      const before = await everything();
      const answer = await put(`/api/proxmox/clusters/${id}`, body);
      expect(answer).toMatchObject({ status: 400, body: { code: 'INVALID_REQUEST', field } });
      expect(await everything()).toBe(before);
    });

    test('are told apart by what people say of them, and removed when they have no node', async () => {
      const spoke = await joined('pve1', { node: 'pve1', cluster: 'said' });
      const path = `/api/proxmox/clusters/${(await clusterOf('said')).id}`;
      const said = { datacenter: 'Köln 2', description: 'in the cellar' };
      expect(await put(path, said)).toMatchObject({
        status: 200,
        body: { success: true, cluster: { ...said, name: 'said' } },
      });
      expect((await hub.audit()).at(-1)).toMatchObject({
        event: 'cluster_changed',
        source: '127.0.0.1',
        detail: { by: 'token:writer', name: 'said' },
      });
      expect((await put(path, { datacenter: null })).body.cluster).toMatchObject({ ...said, datacenter: null });
      const before = await everything();
      expect(await drop(path)).toMatchObject({
        status: 400,
        body: { code: 'CLUSTER_NOT_EMPTY', error: 'the cluster has 1 node', recoveryHint: expect.any(String) },
      });
      expect(await everything()).toBe(before);
      await drop(`/api/spoke/${spoke.id}`);
      expect((await get(path)).body.cluster).toMatchObject({
        status: 'empty',
        description: 'in the cellar',
        members: [],
      });
      expect(await drop(path)).toMatchObject({ status: 200, body: { success: true, cluster: { name: 'said' } } });
      expect((await get(path)).status).toBe(404);
      expect((await hub.audit()).at(-1)).toMatchObject({ event: 'cluster_removed', detail: { by: 'token:writer' } });
    });

    test('are listed page by page', async () => {
      for (const cluster of ['a', 'b', 'c']) await joined(`of-${cluster}`, { node: 'pve1', cluster });
      expect((await get('/api/proxmox/clusters?limit=0')).body).toMatchObject({ field: 'limit' });
      expect((await get('/api/proxmox/clusters?after=x')).body).toMatchObject({ field: 'after' });
      const seen: string[] = [];
      for (let query = 'limit=2'; ; ) {
        const { clusters, next } = (await get(`/api/proxmox/clusters?${query}`, 'reader')).body;
        seen.push(...clusters.map(({ name }: { name: string }) => name));
        if (next === null) break;
        query = `limit=2&after=${next}`;
      }
      const whole = (await get('/api/proxmox/clusters')).body.clusters.map(({ name }: { name: string }) => name);
      expect(seen).toEqual(whole);
      expect(whole).toEqual(expect.arrayContaining(['a', 'b', 'c']));
    });
  });
}

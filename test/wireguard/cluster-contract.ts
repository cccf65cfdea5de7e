import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { systemRandom } from '../../platform/clock.ts';
import type { Store } from '../../platform/store.ts';
import { COMMAND } from '../../wireguard/hub/actor.ts';
import type { PeerStatus } from '../../wireguard/peers/peer-status.ts';
import { readMembers } from '../../wireguard/spokes/cluster-members.ts';
import {
  type Cluster,
  type ClusterChange,
  changeCluster,
  findCluster,
  getCluster,
  joinCluster,
  listClusters,
  removeCluster,
} from '../../wireguard/spokes/proxmox-clusters.ts';
import { deleteInterface, insertInterface, poolOf } from '../../wireguard/store/hub-interface.ts';
import { deletePeer, insertPeer, type Peer } from '../../wireguard/store/peers.ts';
import type { HubDatabase } from '../../wireguard/store/schema.ts';
import { type HubStorePlace, newPeer, testInterface, testSeal } from './hub-store.ts';

const NOW = 1_700_000_000_000;

/** What holds of Proxmox clusters, whatever the database. */
export function testClusters(makePlace: () => HubStorePlace | Promise<HubStorePlace>): void {
  let place: HubStorePlace;
  let store: Store<HubDatabase>;
  let close: () => Promise<void>;
  const seal = testSeal();
  const hub = testInterface();
  const pool = poolOf(hub);
  /** A node as a registration makes it: its peer, and its place in a cluster, at once. */
  const join = (nodeName: string, clusterName: string | null) =>
    store.transaction(async (tx) => {
      const about = { interface: 'wg0', pool, seal, now: NOW };
      const peer: Peer = await insertPeer(tx, about, newPeer({ name: nodeName, kind: 'spoke', platform: 'debian 13' }));
      const node = { spokeId: peer.id, nodeName, clusterName, version: '9.1.6' };
      return { peer, cluster: await joinCluster(tx, node, NOW, systemRandom) };
    });
  const drop = (id: string) => store.transaction((tx) => deletePeer(tx, 'wg0', id, NOW));
  const become = (id: string, status: PeerStatus) =>
    store.transaction((tx) => tx.updateTable('peer').set({ status }).where('id', '=', id).execute());
  const change = (id: string, wanted: ClusterChange) =>
    store.transaction((tx) => changeCluster(tx, id, wanted, COMMAND, NOW));
  const remove = (id: string) => store.transaction((tx) => removeCluster(tx, id, COMMAND, NOW));
  const get = (id: string) => store.read((db) => getCluster(db, id));
  const rows = () =>
    store.read(async (db) => ({
      clusters: await db.selectFrom('proxmox_cluster').selectAll().orderBy('name').execute(),
      nodes: await db.selectFrom('proxmox_node').selectAll().orderBy('node_name').execute(),
      events: (await db.selectFrom('audit').select('body').orderBy('seq').execute()).map(({ body }) =>
        JSON.parse(body),
      ),
    }));

  beforeAll(async () => {
    place = await makePlace();
  });
  afterAll(() => place.stop());
  beforeEach(async () => {
    ({ store, close } = await place.open());
    await store.transaction((tx) => insertInterface(tx, hub, seal, NOW));
  });
  afterEach(() => close());

  test('the first node of a cluster makes it, with a record, and the next ones are of the same', async () => {
    const first = await join('pve1', 'homelab');
    const second = await join('pve2', 'homelab');
    expect(second.cluster).toEqual(first.cluster);
    const { clusters, nodes, events } = await rows();
    expect(clusters).toMatchObject([{ id: first.cluster?.id, name: 'homelab', datacenter: null, description: null }]);
    expect(nodes).toMatchObject([
      { spoke_id: first.peer.id, cluster_id: first.cluster?.id, node_name: 'pve1', version: '9.1.6' },
      { spoke_id: second.peer.id, cluster_id: first.cluster?.id, node_name: 'pve2' },
    ]);
    const detail = { by: 'hub', cluster: first.cluster?.id, name: 'homelab', spoke: first.peer.id };
    expect(events).toMatchObject([{ event: 'cluster_created', time: NOW, detail }]);
  });

  test('clusters of two names are two, and a node that stands alone is of none', async () => {
    const [one, other] = [await join('pve1', 'homelab'), await join('pve1', 'Homelab')];
    const alone = await join('pve', null);
    expect(one.cluster?.id).not.toBe(other.cluster?.id);
    expect(alone.cluster).toBeNull();
    const { clusters, nodes } = await rows();
    expect(clusters).toHaveLength(2);
    expect(nodes.find(({ node_name: name }) => name === 'pve')).toMatchObject({ cluster_id: null });
  });

  test('twenty nodes that register at once make one cluster', async () => {
    const joined = await Promise.all(Array.from({ length: 20 }, (_, number) => join(`pve${number}`, 'homelab')));
    expect(new Set(joined.map(({ cluster }) => cluster?.id)).size).toBe(1);
    const { clusters, nodes, events } = await rows();
    expect([clusters.length, nodes.length, events.length]).toEqual([1, 20, 1]);
  });

  test('a spoke is one node, and a node that is refused leaves no cluster', async () => {
    const { peer } = await join('pve1', 'homelab');
    const before = JSON.stringify(await rows());
    const again = { spokeId: peer.id, nodeName: 'pve1', clusterName: 'other', version: null };
    await expect(store.transaction((tx) => joinCluster(tx, again, NOW, systemRandom))).rejects.toThrowError();
    const stranger = { ...again, spokeId: 'nobody' };
    await expect(store.transaction((tx) => joinCluster(tx, stranger, NOW, systemRandom))).rejects.toThrowError();
    expect(JSON.stringify(await rows())).toBe(before);
  });

  test('its nodes are counted by the status of their spokes, and listed by their names', async () => {
    const nodes = [];
    for (const name of ['pve3', 'pve1', 'pve2', 'pve4']) nodes.push(await join(name, 'homelab'));
    await join('pve1', 'other');
    await join('pve', null);
    const statuses: PeerStatus[] = ['active', 'inactive', 'disabled', 'active'];
    for (const [at, { peer }] of nodes.entries()) await become(peer.id, statuses[at] ?? 'pending');
    const id = nodes[0]?.cluster?.id ?? '';
    expect((await get(id)).nodes).toEqual({ pending: 0, active: 2, inactive: 1, disabled: 1 });
    const members = await store.read((db) => readMembers(db, id));
    expect(members.map(({ nodeName, status }) => [nodeName, status])).toEqual([
      ['pve1', 'inactive'],
      ['pve2', 'disabled'],
      ['pve3', 'active'],
      ['pve4', 'active'],
    ]);
    expect(members[0]).toMatchObject({ spokeId: nodes[1]?.peer.id, version: '9.1.6', lastHandshake: null });
  });

  test('a node whose spoke is gone is none, also where its row was left', async () => {
    const [first, second] = [await join('pve1', 'homelab'), await join('pve2', 'homelab')];
    const id = first.cluster?.id ?? '';
    await drop(first.peer.id);
    expect((await rows()).nodes.map(({ node_name: name }) => name)).toEqual(['pve2']);
    await become(second.peer.id, 'deleted');
    expect((await rows()).nodes).toHaveLength(1);
    expect((await get(id)).nodes).toEqual({ pending: 0, active: 0, inactive: 0, disabled: 0 });
    expect(await store.read((db) => readMembers(db, id))).toEqual([]);
    const again = await join('pve1', 'homelab'); // set up anew, it is of the cluster that is there
    expect(again.cluster?.id).toBe(id);
    expect((await get(id)).nodes).toMatchObject({ pending: 1 });
  });

  test('an interface that is removed with its peers takes its nodes along', async () => {
    const wg1 = testInterface({
      name: 'wg1',
      networks: ['10.0.2.0/24'],
      addresses: ['10.0.2.1/24'],
      listenPort: 51821,
    });
    await store.transaction((tx) => insertInterface(tx, wg1, seal, NOW));
    const { cluster } = await join('pve1', 'homelab');
    await join('pve', null);
    await store.transaction((tx) => deleteInterface(tx, 'wg0', true));
    expect((await rows()).nodes).toEqual([]);
    expect((await get(cluster?.id ?? '')).nodes).toMatchObject({ pending: 0 });
  });

  test('a cluster with a node is not removed, whatever its status, and an empty one is, with what was left of its nodes', async () => {
    const { peer, cluster } = await join('pve1', 'homelab');
    const id = cluster?.id ?? '';
    for (const status of ['pending', 'active', 'inactive', 'disabled'] as const) {
      await become(peer.id, status);
      const before = JSON.stringify(await rows());
      await expect(remove(id)).rejects.toMatchObject({ code: 'cluster_not_empty', status: 400 });
      expect(JSON.stringify(await rows())).toBe(before);
    }
    await become(peer.id, 'deleted');
    await remove(id);
    const { clusters, nodes, events } = await rows();
    expect([clusters, nodes]).toEqual([[], []]);
    expect(events.at(-1)).toMatchObject({
      event: 'cluster_removed',
      detail: { by: 'command', cluster: id, name: 'homelab' },
    });
    await expect(remove(id)).rejects.toMatchObject({ code: 'cluster_not_found', status: 404 });
  });

  test.each<[string, ClusterChange, string]>([
    ['a data center of 65', { datacenter: 'x'.repeat(65) }, 'datacenter'],
    ['what steers a terminal', { datacenter: 'a\u001b[2J' }, 'datacenter'],
    ['a description of 501', { description: 'x'.repeat(501) }, 'description'],
    ['a description that turns the order', { description: 'a\u202eb' }, 'description'],
  ])('a cluster is refused %s, and nothing changes', async (_, wanted, field) => {
    const { cluster } = await join('pve1', 'homelab');
    const before = JSON.stringify(await rows());
    await expect(change(cluster?.id ?? '', wanted)).rejects.toMatchObject({ code: 'invalid_request', field });
    expect(JSON.stringify(await rows())).toBe(before);
  });

  test('what people say of a cluster is kept and written down with what was before; without a difference nothing is', async () => {
    const { cluster } = await join('pve1', 'homelab');
    const id = cluster?.id ?? '';
    const said = { datacenter: 'Köln 2', description: 'three nodes in the cellar' };
    expect(await change(id, said)).toMatchObject(said);
    expect(await change(id, { description: null })).toMatchObject({ datacenter: 'Köln 2', description: null });
    const before = JSON.stringify(await rows());
    await change(id, { datacenter: 'Köln 2' });
    await change(id, {});
    expect(JSON.stringify(await rows())).toBe(before);
    const changes = (await rows()).events.slice(1).map(({ event, detail }) => [event, detail.changes]);
    expect(changes).toEqual([
      [
        'cluster_changed',
        {
          datacenter: { before: null, after: 'Köln 2' },
          description: { before: null, after: 'three nodes in the cellar' },
        },
      ],
      ['cluster_changed', { description: { before: 'three nodes in the cellar', after: null } }],
    ]);
    expect(await get(id)).toMatchObject({ datacenter: 'Köln 2', description: null });
  });

  test('clusters are found by name and by id, and a name comes before an id', async () => {
    const { cluster } = await join('pve1', 'homelab');
    const twin = await join('pve2', cluster?.id ?? '');
    const found = (text: string) => store.read((db) => findCluster(db, text));
    expect((await found('homelab')).id).toBe(cluster?.id);
    expect((await found(cluster?.id ?? '')).id).toBe(twin.cluster?.id);
    expect((await found(twin.cluster?.id ?? '')).name).toBe(cluster?.id);
    for (const text of ['', 'nobody', 'a\0b', 'x'.repeat(70)]) {
      await expect(found(text)).rejects.toMatchObject({ code: 'cluster_not_found', status: 404 });
    }
  });

  test('clusters are listed page by page, each once', async () => {
    for (let number = 0; number < 7; number += 1) await join(`pve${number}`, `cluster-${number % 5}`);
    const seen: string[] = [];
    let mark: Cluster | null = null;
    for (;;) {
      const after: Cluster | null = mark;
      const page: Cluster[] = await store.read((db) => listClusters(db, after, 2));
      seen.push(...page.map(({ name, nodes }) => `${name}: ${nodes.pending}`));
      const last = page.at(-1);
      if (last === undefined) break;
      mark = last;
    }
    expect(seen.sort()).toEqual(['cluster-0: 2', 'cluster-1: 2', 'cluster-2: 1', 'cluster-3: 1', 'cluster-4: 1']);
  });
}

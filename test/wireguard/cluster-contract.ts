import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { systemRandom } from '../../platform/clock.ts';
import type { Store } from '../../platform/store.ts';
import { joinCluster } from '../../wireguard/spokes/proxmox-clusters.ts';
import { insertInterface, poolOf } from '../../wireguard/store/hub-interface.ts';
import { findById, insertPeer, type Peer } from '../../wireguard/store/peers.ts';
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

  test('a node is listed among the Proxmox nodes, whatever its system calls itself', async () => {
    const { peer } = await join('pve1', null);
    expect(peer).toMatchObject({ platform: 'debian 13', osFamily: 'linux' });
    expect(await store.read((db) => findById(db, 'wg0', peer.id))).toMatchObject({ osFamily: 'proxmox' });
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
}

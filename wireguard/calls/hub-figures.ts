import type { Store } from '../../platform/store.ts';
import { capacityOf } from '../address/pool.ts';
import type { HubWatch } from '../hub/hub-watch.ts';
import { poolOf } from '../store/hub-interface.ts';
import { countOpenTokens, lastBackupAt, type OpenTokens } from '../store/monitored-counts.ts';
import { type MonitoredPeers, readMonitoredPeers } from '../store/monitored-peers.ts';
import { countFreeAddresses, countPeers, LIVING_STATUSES, type PeerCounts } from '../store/peer-counts.ts';
import type { HubDatabase } from '../store/schema.ts';
import type { Family, Labels, Sample } from './exposition.ts';
import type { InterfaceTraffic } from './interface-traffic.ts';

/** An interface as its watch saw it last. */
export type SeenInterface = Pick<HubWatch, 'hub' | 'last' | 'comparison' | 'comparedAt'>;

/** What the store has to say of the interfaces that a hub keeps. */
export interface StoreFigures extends MonitoredPeers {
  readonly counts: ReadonlyMap<string, PeerCounts>;
  readonly free: ReadonlyMap<string, number>;
  readonly tokens: ReadonlyMap<string, OpenTokens>;
  readonly backupAt: number | null;
}

/** Read piece by piece, between which others are served: the counts may differ by what was done meanwhile. */
export async function readFigures(
  store: Pick<Store<HubDatabase>, 'read'>,
  interfaces: readonly string[],
  most: number,
): Promise<StoreFigures> {
  return {
    ...(await readMonitoredPeers(store, interfaces, most)),
    counts: await store.read(countPeers),
    free: await store.read(countFreeAddresses),
    tokens: await store.read(countOpenTokens),
    backupAt: await store.read(lastBackupAt),
  };
}

/** Pure: what is known without the store. `startedAt` is when the hub started, as `now` in milliseconds since 1970. */
export function interfaceFamilies(seen: readonly SeenInterface[], now: number, startedAt: number): Family[] {
  const each = (of: (one: SeenInterface) => number): Sample[] =>
    seen.map((one) => [{ interface: one.hub.facts.name }, of(one)]);
  const seconds = (since: number): number => Math.max(0, now - since) / 1000;
  return [
    gauge(
      'wireguard_interface_up',
      'Whether the interface answered at the last look.',
      each(({ last }) => (last.live === null ? 0 : 1)),
    ),
    gauge(
      'wireguard_interface_look_age_seconds',
      'Time since the last look at the interface.',
      each(({ last }) => seconds(last.at)),
    ),
    gauge(
      'wireguard_interface_live_peers',
      'Peers on the interface at the last look.',
      each(({ last }) => last.live?.peers.size ?? 0),
    ),
    gauge(
      'wireguard_reconcile_age_seconds',
      'Time since interface and store were compared as a whole, or since the start when they were not yet.',
      each(({ comparedAt }) => seconds(comparedAt ?? startedAt)),
    ),
    gauge(
      'wireguard_foreign_peers',
      'Peers on the interface that nobody asked for, at the last comparison.',
      each(({ comparison }) => comparison?.foreign.length ?? 0),
    ),
    gauge(
      'wireguard_pool_addresses',
      'Peers that the networks of the interface have addresses for.',
      each(({ hub }) => capacityOf(poolOf(hub.facts))),
    ),
  ];
}

/** Pure: bytes that all peers of an interface have moved. */
export function trafficFamilies(traffic: ReadonlyMap<string, InterfaceTraffic>): Family[] {
  const each = (of: (one: InterfaceTraffic) => number): Sample[] =>
    [...traffic].map(([name, one]) => [{ interface: name }, of(one)]);
  return [
    counter(
      'wireguard_interface_receive_bytes_total',
      'Bytes from all peers of the interface, since the metrics were read first.',
      each(({ rx }) => rx),
    ),
    counter(
      'wireguard_interface_transmit_bytes_total',
      'Bytes to all peers of the interface, since the metrics were read first.',
      each(({ tx }) => tx),
    ),
  ];
}

/** Pure: when the certificate ends that the API is served with; nothing without TLS. */
export function certificateFamilies(end: number | null): Family[] {
  const help = 'When the certificate ends that the API is served with, Unix time.';
  return end === null ? [] : [gauge('wireguard_tls_certificate_end_timestamp_seconds', help, [[{}, end / 1000]])];
}

/** Pure: what the store told; nothing of it while it could not be read. */
export function storeFamilies(figures: StoreFigures | null, interfaces: readonly string[]): Family[] {
  const up = gauge('wireguard_store_up', 'Whether the database could be read for these metrics.', [
    [{}, figures === null ? 0 : 1],
  ]);
  if (figures === null) return [up];
  const { counts, spokes, free, tokens, backupAt } = figures;
  const each = (of: (name: string) => number): Sample[] => interfaces.map((name) => [{ interface: name }, of(name)]);
  const byStatus = (all: ReadonlyMap<string, PeerCounts>): Sample[] =>
    interfaces.flatMap((name) =>
      LIVING_STATUSES.map((status): Sample => [{ interface: name, status }, all.get(name)?.[status] ?? 0]),
    );
  return [
    up,
    gauge('wireguard_peers', 'Peers that are not deleted, by interface and status.', byStatus(counts)),
    gauge('wireguard_spokes', 'Those of them that are spokes.', byStatus(spokes)),
    {
      // a gauge by nature, whose name says otherwise
      type: 'untyped',
      name: 'wireguard_spokes_total',
      help: 'Spokes that are not deleted, of any status.',
      samples: each((name) => sum(spokes.get(name))),
    },
    gauge(
      'wireguard_spokes_inactive',
      'Spokes that were heard once and not for five minutes.',
      each((name) => spokes.get(name)?.inactive ?? 0),
    ),
    gauge(
      'wireguard_pool_free_addresses',
      'Those of them that are neither in use nor kept for a spoke that is invited.',
      each((name) => free.get(name) ?? 0),
    ),
    gauge(
      'wireguard_tokens_open',
      'Install tokens that keep an address, by whether their script was fetched.',
      interfaces.flatMap((name): Sample[] => [
        [{ interface: name, state: 'unfetched' }, tokens.get(name)?.unfetched ?? 0],
        [{ interface: name, state: 'fetched' }, tokens.get(name)?.fetched ?? 0],
      ]),
    ),
    gauge(
      'wireguard_backup_last_timestamp_seconds',
      'When the last backup was made that was read back whole, Unix time; 0 for never.',
      [[{}, (backupAt ?? 0) / 1000]],
    ),
    ...peerFamilies(figures),
    gauge(
      'wireguard_peers_left_out',
      'Peers that are not switched off and have no figures of their own.',
      leftOut(figures, interfaces),
    ),
  ];
}

function leftOut({ counts, spokes, peers }: StoreFigures, interfaces: readonly string[]): Sample[] {
  const on = (all: ReadonlyMap<string, PeerCounts>): number =>
    interfaces.reduce((total, name) => total + sum(all.get(name)) - (all.get(name)?.disabled ?? 0), 0);
  const shown = peers.filter(({ kind }) => kind === 'spoke').length;
  const others = on(counts) - on(spokes) - (peers.length - shown);
  // what was counted a moment later may be less
  return [
    [{ kind: 'spoke' }, Math.max(0, on(spokes) - shown)],
    [{ kind: 'other' }, Math.max(0, others)],
  ];
}

function peerFamilies({ peers }: StoreFigures): Family[] {
  const each = (of: (peer: StoreFigures['peers'][number]) => number): Sample[] =>
    peers.map((peer) => [labelsOf(peer), of(peer)]);
  return [
    counter(
      'wireguard_peer_receive_bytes_total',
      'Bytes from the peer, over all lives of its interface.',
      each(({ rx }) => rx),
    ),
    counter(
      'wireguard_peer_transmit_bytes_total',
      'Bytes to the peer, over all lives of its interface.',
      each(({ tx }) => tx),
    ),
    gauge(
      'wireguard_peer_last_handshake_seconds',
      'When the peer was heard last, Unix time; 0 for never.',
      each(({ lastHandshake }) => (lastHandshake ?? 0) / 1000),
    ),
  ];
}

function labelsOf({ interface: on, id, name, kind }: StoreFigures['peers'][number]): Labels {
  return { interface: on, id, name, kind };
}

function sum(counts: PeerCounts | undefined): number {
  return Object.values(counts ?? {}).reduce((total, count) => total + count, 0);
}

function gauge(name: string, help: string, samples: readonly Sample[]): Family {
  return { type: 'gauge', name, help, samples };
}

function counter(name: string, help: string, samples: readonly Sample[]): Family {
  return { type: 'counter', name, help, samples };
}

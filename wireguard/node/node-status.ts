import { ACTIVE_MS } from '../peers/peer-status.ts';
import type { Look, SeenInterface } from './look-file.ts';

/** What is known of a machine without any right. */
export interface MachineFacts {
  readonly hostname: string;
  readonly uptimeSeconds: number;
  /** Averages over 1, 5 and 15 minutes. */
  readonly load: readonly [number, number, number];
  /** Bytes; `null` where it cannot be told. */
  readonly diskFree: number | null;
}

/** The answer of `GET /status`. */
export interface NodeStatus {
  readonly hostname: string;
  /** ISO 8601, UTC. */
  readonly time: string;
  readonly uptimeSeconds: number;
  readonly load: readonly [number, number, number];
  /** To 0.1. */
  readonly diskFreeGiB: number | null;
  /** How old what follows is; `null` when nobody has looked. */
  readonly lookAgeSeconds: number | null;
  readonly interfaces: readonly NodeInterface[];
}

interface NodeInterface {
  readonly name: string;
  readonly up: boolean;
  readonly addresses: readonly string[];
  readonly listenPort: number;
  readonly peers: readonly NodePeer[];
}

interface NodePeer {
  readonly publicKey: string;
  readonly endpoint: string | null;
  /** `null` for never. */
  readonly handshakeAgeSeconds: number | null;
  /** No handshake within three minutes. */
  readonly stale: boolean;
  readonly rx: number;
  readonly tx: number;
}

/** The answer of `GET /health`: 200 when there is nothing wrong, else 503. */
export interface NodeHealth {
  readonly status: 'ok' | 'degraded';
  /** What is wrong, a sentence each. */
  readonly reasons: readonly string[];
}

/** A look that is older is no answer. */
const LOOK_LASTS_MS = 60_000;
const GIB = 1024 ** 3;

/** Pure. */
export function nodeStatus(machine: MachineFacts, look: Look | null, now: number): NodeStatus {
  const { hostname, uptimeSeconds, load, diskFree } = machine;
  return {
    hostname,
    time: new Date(now).toISOString(),
    uptimeSeconds,
    load,
    diskFreeGiB: diskFree === null ? null : Math.floor((diskFree / GIB) * 10) / 10,
    lookAgeSeconds: look === null ? null : seconds(now - look.at),
    interfaces: (look?.interfaces ?? []).map(({ isUp, peers, ...facts }) => ({
      ...facts,
      up: isUp,
      peers: peers.map(({ lastHandshake, ...peer }) => ({
        ...peer,
        handshakeAgeSeconds: lastHandshake === null ? null : seconds(now - lastHandshake),
        stale: isStale(lastHandshake, now),
      })),
    })),
  };
}

/** Pure: an interface that is down, one whose peers are all silent, and a look that is too old are what somebody has to be told. */
export function nodeHealth(look: Look | null, now: number): NodeHealth {
  const reasons: string[] = [];
  if (look === null) reasons.push('nobody has looked at the interfaces yet');
  else if (Math.abs(now - look.at) > LOOK_LASTS_MS) reasons.push('nobody has looked at the interfaces for a minute');
  else if (look.interfaces.length === 0) reasons.push('there is no WireGuard interface');
  else reasons.push(...look.interfaces.flatMap((one) => troubleOf(one, now)));
  return { status: reasons.length === 0 ? 'ok' : 'degraded', reasons };
}

function troubleOf({ name, isUp, peers }: SeenInterface, now: number): string[] {
  if (!isUp) return [`${name} is down`];
  const isSilent = peers.length > 0 && peers.every(({ lastHandshake }) => isStale(lastHandshake, now));
  return isSilent ? [`no peer of ${name} has shaken hands within three minutes`] : [];
}

function isStale(lastHandshake: number | null, now: number): boolean {
  return lastHandshake === null || now - lastHandshake >= ACTIVE_MS;
}

/** A clock that was set back makes nothing come from the future. */
function seconds(millis: number): number {
  return Math.max(0, Math.floor(millis / 1000));
}

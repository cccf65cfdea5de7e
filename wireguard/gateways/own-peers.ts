import { LatchkeyError } from '../../platform/errors.ts';
import { parsePublicKey, type WireGuardKey } from '../keys.ts';
import type { PageMark, Peer, PeerFilter } from '../store/peers.ts';
import type { Gateway } from './gateway-store.ts';

interface Peers {
  find(publicKey: string): Promise<Peer | null>;
  list(filter: PeerFilter, after: PageMark | null, limit: number): Promise<Peer[]>;
}

/** Whom a gateway may see and change: what it made itself. The owner of a device is free text, and may be called the same. */
function isOwn(gateway: Gateway, { kind, owner }: Peer): boolean {
  return kind === 'gateway' && owner === gateway.name;
}

/** The gateway's living peer with that key. Throws `peer_not_found` (404), whether it is another's or nobody's. */
export async function ownPeer(peers: Peers, gateway: Gateway, publicKey: WireGuardKey): Promise<Peer> {
  const peer = await peers.find(publicKey);
  if (peer !== null && isOwn(gateway, peer)) return peer;
  throw new LatchkeyError('peer_not_found', 'there is no such peer', { status: 404 });
}

/** A page of the gateway's peers, in the order of their creation. */
export function ownPeers(peers: Peers, gateway: Gateway, after: PageMark | null, limit: number): Promise<Peer[]> {
  return peers.list({ kind: 'gateway', owner: gateway.name }, after, limit);
}

/**
 * A public key as the last part of a path: base64 with its three odd characters percent-encoded, or base64url, with or without its
 * padding. Throws `invalid_public_key` (400).
 */
export function publicKeyFrom(text: string): WireGuardKey {
  const plain = text.replaceAll('-', '+').replaceAll('_', '/');
  return asPublicKey(plain.length === 43 ? `${plain}=` : plain);
}

/** Throws `invalid_public_key` (400). */
export function asPublicKey(text: string): WireGuardKey {
  try {
    return parsePublicKey(text, 'publicKey');
  } catch (cause) {
    throw invalidPublicKey(cause);
  }
}

/** What the calls of gateways name a key that is none. */
export function invalidPublicKey(cause: unknown): LatchkeyError {
  return new LatchkeyError('invalid_public_key', (cause as Error).message, { status: 400, field: 'publicKey', cause });
}

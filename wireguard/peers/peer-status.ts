/**
 * `pending` was never heard, `active` and `inactive` go by its handshakes, `disabled` is off by decision, `deleted` is gone
 * and its address is free.
 */
export const PEER_STATUSES = ['pending', 'active', 'inactive', 'disabled', 'deleted'] as const;
export type PeerStatus = (typeof PEER_STATUSES)[number];

/** A peer that talks renews its session every two minutes, and tries for a minute and a half more. */
export const ACTIVE_MS = 3 * 60_000;
export const INACTIVE_MS = 5 * 60_000;

/**
 * Pure: what a peer is, by its last handshake (milliseconds since 1970, `null` for never). Between three and five minutes the
 * last state stands, so that one late packet does not make it flap. Decisions of people are not overruled.
 */
export function statusAfter(before: PeerStatus, lastHandshake: number | null, now: number): PeerStatus {
  if (before === 'disabled' || before === 'deleted' || lastHandshake === null) return before;
  const age = now - lastHandshake;
  if (age < ACTIVE_MS) return 'active';
  return age >= INACTIVE_MS ? 'inactive' : before;
}

/** True for a peer that belongs on the interface. */
export function isLiving(status: PeerStatus): boolean {
  return status !== 'disabled' && status !== 'deleted';
}

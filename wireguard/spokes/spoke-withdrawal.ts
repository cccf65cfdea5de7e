import { LatchkeyError } from '../../platform/errors.ts';
import type { ServedHub } from '../hub/served-interfaces.ts';
import { assertOwner, type InstallToken, tokenNotFound } from './install-token.ts';

/**
 * Takes a spoke back whose installer did not get it to run: only that installer, within an hour, and only as long as the spoke was
 * never heard. Throws what `assertOwner` throws, `token_not_found` (404) where the spoke is gone or has another key, and `spoke_active` (409).
 */
export async function withdrawSpoke(
  hub: ServedHub,
  token: InstallToken | null,
  publicKey: string,
  { source, now }: { readonly source: string; readonly now: number },
): Promise<void> {
  assertOwner(token, now);
  const peer = await hub.peers.get(token.spokeId);
  if (peer === null || peer.publicKey !== publicKey) throw tokenNotFound();
  if (peer.lastHandshake !== null) {
    throw new LatchkeyError('spoke_active', 'the spoke is in use: it has shaken hands with the hub', {
      status: 409,
      hint: 'remove it on the hub: wghub spoke remove',
    });
  }
  await hub.peers.remove(peer.id, { name: `install-token:${token.id}`, source });
}

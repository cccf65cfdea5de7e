import type { RandomBytes } from '../../platform/clock.ts';
import { decodeBase64, sha256 } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import type { Occ } from '../actions/action.ts';
import type { Facts } from '../facts.ts';
import type { Progress } from '../progress.ts';
import { SNAP_PRIVATE_TMP } from '../targets/snap-places.ts';
import type { Keys } from './owner-copy.ts';
import { keepOwnerCopy } from './owner-copy-file.ts';
import { type Preflight, remoteKey } from './remote-key.ts';

export interface EscrowOrder {
  /** One-time escrow grant; not needed any more when an earlier run has stored every key. */
  readonly grant: string | null;
  readonly copy: { readonly path: string; readonly passphrase: string };
}

export interface EscrowReport {
  readonly keys: readonly { readonly id: string; readonly sha256: string }[];
  readonly copy: { readonly path: string; readonly state: 'written' | 'present' };
  readonly files: number;
  readonly removed: readonly string[];
  /** Places where a copy of a key may still lie; nobody but the owner can decide about them. */
  readonly copies: readonly string[];
}

export interface EscrowDeps {
  readonly occ: Occ;
  readonly progress: Progress;
  readonly now: () => number;
  readonly random: RandomBytes;
}

/** A look before anything moves. Throws `not_enrolled`, or the first problem that blocks, under its code (exit 3). */
export async function escrowPreflight(facts: Facts, deps: Pick<EscrowDeps, 'occ' | 'progress'>): Promise<Preflight> {
  const { state } = facts.app;
  if (state !== 'enrolled' && state !== 'escrowed') {
    throw new LatchkeyError('not_enrolled', 'the server is not enrolled at a key server', {
      exit: 3,
      hint: 'run "ncpatch apply", then "ncpatch enroll"',
    });
  }
  deps.progress.step('look at the keys and what surrounds them');
  const look = await remoteKey(deps.occ).preflight();
  const blocking = look.problems.find((problem) => problem.blocking === true);
  if (blocking !== undefined)
    throw new LatchkeyError(blocking.code, blocking.message, { exit: 3, hint: blocking.hint });
  return look;
}

/**
 * Moves the private keys to the key server. Between any two lines the keys exist in one place at least that Nextcloud
 * can reach and, from the copy on, in the owner's hand as well; being cut off anywhere is mended by running it again.
 */
export async function escrow(facts: Facts, order: EscrowOrder, deps: EscrowDeps): Promise<EscrowReport> {
  const app = remoteKey(deps.occ);
  deps.progress.step('store the keys on the key server, and take them back to compare');
  const { keys: stored } = await app.store(order.grant);
  const keys = Object.fromEntries(stored.map(({ id, sha256: digest, key }) => [id, bytesOf(id, digest, key)]));
  if (Object.keys(keys).length === 0) throw new LatchkeyError('no_private_keys', 'there is no key to move');
  deps.progress.step(`write the owner's copy to ${order.copy.path}, and open it again`);
  const state = await keepOwnerCopy(
    keys,
    { ...order.copy, instanceId: facts.instanceId, clientId: facts.enrolment?.clientId ?? '' },
    deps,
  );
  deps.progress.step('decrypt with keys fresh from the key server');
  const proof = await app.prove();
  if (!proof.release || !proof.pair) {
    throw new LatchkeyError('proof_failed', "the key server's keys do not open what they should; nothing was removed");
  }
  deps.progress.step('remove the private keys from the disk, and decrypt once more');
  const { removed, copies } = await app.remove();
  return {
    keys: stored.map(({ id, sha256: digest }) => ({ id, sha256: digest })),
    copy: { path: order.copy.path, state },
    files: proof.files,
    removed,
    // a confined app does not see what snapd keeps
    copies: [
      ...new Set([
        ...copies.map((path) => asSeenOutside(path, facts)),
        ...(facts.snap?.copies ?? []).map(({ path }) => path),
      ]),
    ],
  };
}

/** Pure: what the app tells a path of, in words for somebody on the machine. A snap's /tmp and a container's are their own. */
function asSeenOutside(path: string, { container, snap }: Facts): string {
  if (container !== undefined && container !== null) return `${path} in the container ${container.name}`;
  if (snap === undefined || !/^\/tmp(?:\/|$)/.test(path)) return path;
  return `${SNAP_PRIVATE_TMP[0]}${path.slice('/tmp'.length)}`;
}

const MAX_KEY_BYTES = 1_048_576;

function bytesOf(id: string, digest: string, key: string | undefined): Keys[string] {
  const bytes = key === undefined ? null : decodeBase64(key, { max: MAX_KEY_BYTES });
  if (bytes === null || bytes.length === 0 || sha256(bytes).toString('hex') !== digest) {
    throw new LatchkeyError('occ_answer_unknown', `${id} arrived damaged from the server; nothing was removed`);
  }
  return bytes;
}

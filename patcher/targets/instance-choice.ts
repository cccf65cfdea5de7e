import { LatchkeyError } from '../../platform/errors.ts';
import type { Transport } from '../transports/transport.ts';
import { lamp } from './lamp.ts';
import { snap } from './snap.ts';
import type { Instance, OpenOptions, Sighting, Target } from './target.ts';

/** Every kind of installation that is known. */
export const TARGETS: readonly Target[] = [snap, lamp];

export interface FoundInstance {
  readonly target: Target;
  readonly sighting: Sighting;
}

export interface InstanceWish extends OpenOptions {
  /** The root folder, where the machine holds several or an unusual one. */
  readonly root?: string;
}

/** Everything that looks like a Nextcloud on the machine. */
export async function findInstances(
  transport: Transport,
  root?: string,
  targets: readonly Target[] = TARGETS,
): Promise<FoundInstance[]> {
  const found = await Promise.all(
    targets.map(async (target) => (await target.find(transport, root)).map((sighting) => ({ target, sighting }))),
  );
  return found.flat();
}

/**
 * Pure: the one that is meant. Never guesses between two: `nextcloud_not_found`, `several_nextclouds` (exit 2, the hint
 * names their roots).
 */
export function chooseInstance(found: readonly FoundInstance[], root?: string): FoundInstance {
  const installed = found.filter(({ sighting }) => sighting.configFile !== null);
  const candidates = installed.length > 0 ? installed : found;
  const [only, ...others] = candidates;
  if (only === undefined) {
    throw root === undefined
      ? new LatchkeyError('nextcloud_not_found', 'no nextcloud was found on the server', {
          hint: 'name its folder, the one with version.php and occ in it: --root FOLDER',
        })
      : new LatchkeyError('nextcloud_not_found', `there is no nextcloud in ${root}`, {
          hint: 'the folder must hold version.php, occ and lib/base.php',
        });
  }
  if (others.length > 0) {
    const roots = candidates.map(({ sighting }) => sighting.root).join(', ');
    throw new LatchkeyError('several_nextclouds', `${candidates.length} nextclouds were found on the server`, {
      exit: 2,
      hint: `choose one with --root: ${roots}`,
      field: 'root',
    });
  }
  return only;
}

/** Finds, chooses and opens. */
export async function openInstance(
  transport: Transport,
  wish: InstanceWish,
): Promise<{ readonly target: Target; readonly instance: Instance }> {
  if (wish.root !== undefined && !/^\/[^\0]*[^/\0]$/.test(wish.root)) {
    throw new LatchkeyError('invalid_request', '"--root" must be an absolute path without a slash at its end', {
      exit: 2,
      field: 'root',
    });
  }
  const { target, sighting } = chooseInstance(await findInstances(transport, wish.root), wish.root);
  const options = wish.php === undefined ? {} : { php: wish.php };
  return { target, instance: await target.open(transport, sighting, options) };
}

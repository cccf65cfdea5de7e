import { isLatchkeyError, LatchkeyError } from '../../platform/errors.ts';
import type { Transport } from '../transports/transport.ts';
import { container as containers } from './container.ts';
import { lamp } from './lamp.ts';
import { snap } from './snap.ts';
import type { Instance, OpenOptions, Sighting, Target } from './target.ts';

/** Every kind of installation that is known. */
export const TARGETS: readonly Target[] = [snap, containers, lamp];

export interface FoundInstance {
  readonly target: Target;
  readonly sighting: Sighting;
}

export interface InstanceWish extends OpenOptions {
  /** The root folder, where the machine holds several or an unusual one. */
  readonly root?: string;
  /** The container it is in, by its name or the beginning of its id. */
  readonly container?: string;
}

/**
 * Everything that looks like a Nextcloud on the machine. That docker may not be asked is no error as long as something else
 * is found, and nobody asked for a container.
 */
export async function findInstances(
  transport: Transport,
  root?: string,
  container?: string,
  targets: readonly Target[] = TARGETS,
): Promise<FoundInstance[]> {
  const asked = container === undefined ? targets : targets.filter((target) => target === containers);
  const failures: LatchkeyError[] = [];
  const found = await Promise.all(
    asked.map(async (target) => {
      try {
        const sightings = await target.find(transport, root, container);
        return sightings.map((sighting) => ({ target, sighting }));
      } catch (error) {
        if (!isLatchkeyError(error) || !error.code.startsWith('container_')) throw error;
        failures.push(error);
        return [];
      }
    }),
  );
  const all = withoutOutsides(found.flat());
  if (all.length === 0 && failures[0] !== undefined) throw failures[0];
  return all;
}

/** Pure: a tree that is mounted into a container is in there; its owner, PHP and database are. */
function withoutOutsides(found: readonly FoundInstance[]): FoundInstance[] {
  const inside = new Set(found.map(({ sighting }) => sighting.machineRoot ?? null));
  return found.filter(({ sighting }) => sighting.container !== undefined || !inside.has(sighting.root));
}

/**
 * Pure: the one that is meant. Never guesses between two: `nextcloud_not_found`, `several_nextclouds` (exit 2, the hint
 * names their roots).
 */
export function chooseInstance(everything: readonly FoundInstance[], root?: string, container?: string): FoundInstance {
  // a folder that is named is the machine's own, where there is one
  const own = root === undefined ? [] : everything.filter(({ sighting }) => sighting.container === undefined);
  const found = own.length > 0 ? own : everything;
  const installed = found.filter(({ sighting }) => sighting.configFile !== null);
  const candidates = installed.length > 0 ? installed : found;
  const [only, ...others] = candidates;
  if (only === undefined) {
    if (container !== undefined) {
      throw new LatchkeyError('nextcloud_not_found', `there is no nextcloud in the container ${container}`, {
        hint: 'if it lies in an unusual folder there, name that: --root FOLDER',
      });
    }
    throw root === undefined
      ? new LatchkeyError('nextcloud_not_found', 'no nextcloud was found on the server', {
          hint: 'name its folder, the one with version.php and occ in it: --root FOLDER',
        })
      : new LatchkeyError('nextcloud_not_found', `there is no nextcloud in ${root}`, {
          hint: 'the folder must hold version.php, occ and lib/base.php',
        });
  }
  if (others.length > 0) {
    const names = new Set(candidates.flatMap(({ sighting }) => sighting.container ?? []));
    const ways = [
      ...(names.size === 0 || container !== undefined ? [] : [`--container: ${[...names].join(', ')}`]),
      ...(names.size === candidates.length && container === undefined ? [] : [`--root: ${rootsOf(candidates)}`]),
    ];
    throw new LatchkeyError('several_nextclouds', `${candidates.length} nextclouds were found on the server`, {
      exit: 2,
      hint: `choose one with ${ways.join('; or ')}`,
      field: 'root',
    });
  }
  return only;
}

function rootsOf(candidates: readonly FoundInstance[]): string {
  const own = candidates.filter(({ sighting }) => sighting.container === undefined);
  return (own.length > 0 ? own : candidates).map(({ sighting }) => sighting.root).join(', ');
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
  const { target, sighting } = chooseInstance(
    await findInstances(transport, wish.root, wish.container),
    wish.root,
    wish.container,
  );
  const options = wish.php === undefined ? {} : { php: wish.php };
  return { target, instance: await target.open(transport, sighting, options) };
}

import { LatchkeyError } from '../../platform/errors.ts';
import type { SnapFacts } from '../facts.ts';
import type { RunResult, Transport } from '../transports/transport.ts';
import { parseSnapList, parseSnapServices, parseSystemHold, type SnapRevision } from './snap-list.ts';
import { isRevision, SNAP, SNAP_MOUNTS, SNAP_VAR, snapPlaces } from './snap-places.ts';

/** Without these occ waits for ever. */
const NEEDED_SERVICES = ['php-fpm', 'redis-server', 'mysql'];

/** Runs snapd's program in the language that its parsers know; 127 where there is none. */
export function snapCommand(transport: Transport, args: readonly string[], timeoutMs = 60_000): Promise<RunResult> {
  return transport.run(['env', 'LC_ALL=C', 'snap', ...args], { timeoutMs });
}

/** Every revision of the snap that snapd keeps; empty where it is not installed, or there is no snapd. */
export async function listRevisions(transport: Transport): Promise<SnapRevision[]> {
  const result = await snapCommand(transport, ['list', '--all']);
  if (result.exit === 127) return [];
  const all = parseSnapList(result.stdout.toString('utf8'));
  if (all !== null) return all.filter(({ name }) => name === SNAP || name.startsWith(`${SNAP}_`));
  // a snapd that does not answer is no news where the snap was never installed
  if (result.exit === 0 || (await mountedAt(transport)) === null) return [];
  throw new LatchkeyError('snapd_silent', '"snap list" could not be asked', {
    hint: 'run "snap list" on the server; systemctl status snapd.socket',
  });
}

/** The folder with the squashfs of each revision, by distribution; `null` when there is none. */
export async function mountedAt(transport: Transport): Promise<string | null> {
  for (const path of SNAP_MOUNTS) if ((await transport.realPath(`${path}/current`)) !== null) return path;
  return null;
}

/**
 * Pure: the revision in use. Throws (exit 3) what keeps this snap from being worked on, in the order in which somebody
 * would have to mend it.
 */
export function usableRevision(revisions: readonly SnapRevision[], services: string): SnapRevision {
  const own = revisions.filter(({ name }) => name === SNAP);
  if (own.length === 0) {
    const other = revisions[0]?.name ?? SNAP;
    throw new LatchkeyError('snap_parallel_instance', `${other} is a parallel installation of the snap`, {
      exit: 3,
      hint: `only an installation by the name of "${SNAP}" is known`,
    });
  }
  const active = own.find(({ notes }) => !notes.includes('disabled'));
  if (active === undefined) {
    throw new LatchkeyError('snap_disabled', 'the snap is installed, but disabled', {
      exit: 3,
      hint: `snap enable ${SNAP}`,
    });
  }
  if (active.notes.includes('broken')) {
    throw new LatchkeyError('snap_broken', `snapd calls revision ${active.revision} of the snap broken`, {
      exit: 3,
      hint: `snap changes; snap revert ${SNAP}, or a refresh, mends it`,
    });
  }
  const known = parseSnapServices(services) ?? [];
  const stopped = known.filter(({ name, active: runs }) => NEEDED_SERVICES.includes(name) && !runs);
  if (stopped.length > 0) {
    const names = stopped.map(({ name }) => name).join(', ');
    throw new LatchkeyError('snap_services_stopped', `${names} of the snap do not run, and occ waits for them`, {
      exit: 3,
      hint: `snap start ${SNAP}; while snapd refreshes the snap they are stopped: see "snap changes"`,
    });
  }
  return active;
}

/** What snapd says of the snap, and what of it lies about; looks anew each time. */
export async function readSnapFacts(transport: Transport): Promise<SnapFacts> {
  const [revisions, services, time, folders] = await Promise.all([
    listRevisions(transport),
    snapCommand(transport, ['services', SNAP]),
    snapCommand(transport, ['refresh', '--time']),
    transport.list(SNAP_VAR),
  ]);
  const active = usableRevision(revisions, services.stdout.toString('utf8'));
  const kept = new Set([...revisions.map(({ revision }) => revision), ...(folders ?? []).map(({ name }) => name)]);
  kept.delete(active.revision);
  const others = [...kept].filter(isRevision).sort((a, b) => (a.padStart(11) < b.padStart(11) ? -1 : 1));
  return {
    version: active.version,
    revision: active.revision,
    tracking: active.tracking,
    notes: active.notes.filter((note) => note !== 'held'),
    held: active.notes.includes('held') ? 'snap' : (parseSystemHold(time.stdout.toString('utf8')) ?? null),
    otherRevisions: others,
    copies: await findCopies(transport, others, active.revision),
  };
}

/** Root of the machine looks where the app, being confined, may not. */
async function findCopies(
  transport: Transport,
  others: readonly string[],
  current: string,
): Promise<SnapFacts['copies']> {
  const places = snapPlaces([...others, current], current).filter(
    ({ holds }) => holds === 'backup' || holds === 'config',
  );
  const found = await Promise.all(
    places.map(async ({ path, names, words, hint }) => {
      const entries = (await transport.list(path)) ?? [];
      const hits = entries.filter(({ name }) => names === null || names.test(name));
      return hits.length === 0 ? [] : [{ path, words, hint }];
    }),
  );
  return found.flat();
}

const LOOK = 'for path do readlink -f "$path/current"; done; ls -1 "$2"';

/** What tells one state of the snap from the next: what `current` leads to, and which revisions have a folder. */
export interface SnapMark {
  readonly current: readonly string[];
  readonly revisions: readonly string[];
}

export async function markOf(transport: Transport, mount: string): Promise<SnapMark> {
  const result = await transport.run(['sh', '-c', LOOK, 'sh', mount, SNAP_VAR]);
  const lines = result.stdout.toString('utf8').split('\n');
  return { current: lines.slice(0, 2), revisions: lines.slice(2).filter(isRevision) };
}

/**
 * Pure: throws `revision_changed` when snapd has gone to another revision since `before`, or has begun to: it copies
 * what belongs to a revision at a moment of its own, and a change made after that moment would be missing from then on.
 */
export function refuseNewRevision(before: SnapMark, now: SnapMark): void {
  const [was, is] = [before, now].map(({ current }) => current[1]?.split('/').at(-1) ?? 'none');
  const added = now.revisions.find((revision) => !before.revisions.includes(revision));
  if (before.current.join() === now.current.join() && added === undefined) return;
  const words =
    was === is ? `revision ${added} of the snap is being put in` : `the snap went from revision ${was} to ${is}`;
  throw new LatchkeyError('revision_changed', `${words} while this was at work`, {
    hint: 'wait until "snap changes" shows it done, then run the same again; "snap refresh --hold=1h nextcloud" gives time',
  });
}

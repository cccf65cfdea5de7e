import { LatchkeyError } from '../platform/errors.ts';
import {
  APP_ID,
  type AppFiles,
  type AppsPath,
  type Facts,
  type HookName,
  type Obstacle,
  STATE_PARENT,
} from './facts.ts';
import { timerFilesFor, timerUnit } from './heartbeat-timer.ts';
import { type CoreStep, coreObstacles, coreSteps } from './hooks/core-plan.ts';
import { obstaclesOf } from './obstacles.ts';
import { type WatchParts, watchedOf } from './watch/watch-files.ts';
import { isWatched, type WatchStep, watchStepsFor } from './watch/watch-plan.ts';

/** The app as ncpatch brings it along. */
export interface Wanted {
  readonly app: { readonly version: string; readonly content: Readonly<Record<string, string>> };
  /** Text of the script that sends a heartbeat. */
  readonly heartbeat: string;
  /** The watch's scripts, and the app as it keeps it; wanted only where it is installed. */
  readonly watch?: WatchParts;
}

/** One thing to be done, in words that do not depend on how a transport does it. */
export type Step =
  | { readonly kind: 'make_folder'; readonly path: string; readonly owner: 'root' | 'nextcloud'; readonly mode: number }
  | { readonly kind: 'close_web' }
  | { readonly kind: 'open_web' }
  | { readonly kind: 'set_apps_paths'; readonly paths: readonly AppsPath[] }
  | {
      readonly kind: 'deploy_app';
      readonly path: string;
      readonly from: string | null;
      readonly to: string;
      readonly changes: Changes;
    }
  | { readonly kind: 'remove_tree'; readonly path: string }
  | { readonly kind: 'enable_app' }
  | { readonly kind: 'upgrade_app'; readonly from: string; readonly to: string }
  | { readonly kind: 'write_file'; readonly path: string; readonly content: string; readonly isNew: boolean }
  | { readonly kind: 'remove_file'; readonly path: string }
  | { readonly kind: 'write_entry_hook'; readonly path: string; readonly content: string; readonly isNew: boolean }
  | { readonly kind: 'start_timer'; readonly unit: string }
  | CoreStep
  | WatchStep;

export interface Changes {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
}

export interface Plan {
  readonly steps: readonly Step[];
  /** What is done once the app is shown to work. */
  readonly afterProof: readonly Step[];
  readonly obstacles: readonly Obstacle[];
}

/**
 * Pure: what is to be done so that the app runs as wanted. Nothing to do is an empty list, so that a second run
 * changes nothing. The order matters: files before the database learns of them, the timer when its script is there.
 * `asked` is the hook that the command line names, if it does.
 */
export function planFor(facts: Facts, wanted: Wanted, asked: HookName | null = null): Plan {
  const place = placeForApp(facts);
  const steps: Step[] = [...stateFolder(facts)];
  if (place.add !== null) steps.push(...addAppsPath(facts, place.add));
  const changes = changesBetween(facts.app.files, wanted);
  const moved = facts.app.files !== null && facts.app.files.path !== place.path;
  if (changes !== null || moved) {
    steps.push({
      kind: 'deploy_app',
      path: place.path,
      from: facts.app.files?.version ?? null,
      to: wanted.app.version,
      changes: changes ?? { added: [], changed: [], removed: [] },
    });
  }
  if (moved && facts.app.files !== null) steps.push({ kind: 'remove_tree', path: facts.app.files.path });
  const { enabled, installedVersion } = facts.app;
  if (enabled && installedVersion !== null && installedVersion !== wanted.app.version) {
    steps.push({ kind: 'upgrade_app', from: installedVersion, to: wanted.app.version });
  }
  if (!enabled) steps.push({ kind: 'enable_app' });
  steps.push(...coreSteps(facts, asked), ...timer(facts, wanted), ...entryHooks(facts));
  steps.push(...watch(facts, wanted, place.path, asked ?? facts.hook ?? 'app'));
  const closes = mustCloseWeb(facts, steps);
  return {
    steps: closes ? [{ kind: 'close_web' }, ...steps] : steps,
    afterProof: closes ? [{ kind: 'open_web' }] : [],
    obstacles: [...coreObstacles(facts, asked), ...obstaclesOf(facts)].sort(byBlocking),
  };
}

/** True when the keys are away, and for a moment, or since before, there is no app to fetch them. */
function mustCloseWeb(facts: Facts, steps: readonly Step[]): boolean {
  const keysAreAway = (facts.enrolment?.keys.length ?? 0) > 0;
  // a changed core fetches keys although the app is off, as long as it stays
  const coreFetches =
    (facts.core?.state === 'patched' || facts.core?.state === 'outdated') &&
    !steps.some(({ kind }) => TAKES_CORE_AWAY.has(kind));
  const takesAway = ({ kind }: Step): boolean => TAKES_APP_AWAY.has(kind) && !(kind === 'enable_app' && coreFetches);
  return keysAreAway && !facts.maintenance && steps.some(takesAway);
}

const TAKES_CORE_AWAY: ReadonlySet<Step['kind']> = new Set(['unpatch_core', 'cover_core', 'uncover_core']);

function byBlocking(a: Obstacle, b: Obstacle): number {
  return Number(b.blocking) - Number(a.blocking);
}

const TAKES_APP_AWAY: ReadonlySet<Step['kind']> = new Set([
  'set_apps_paths',
  'deploy_app',
  'remove_tree',
  'upgrade_app',
  'enable_app',
]);

function stateFolder(facts: Facts): Step[] {
  const { path, exists, owner, mode } = facts.stateFolder;
  if (exists && owner === facts.owner.user && mode === '0700') return [];
  if (exists) {
    throw new LatchkeyError('state_folder_not_ours', `${path} belongs to ${owner} with mode ${mode}`, {
      exit: 3,
      hint: `it must belong to ${facts.owner.user} with mode 0700; find out who changed it, then set it right`,
    });
  }
  const parent = path.slice(0, path.lastIndexOf('/'));
  // the journal has made the usual one; elsewhere it is one of many, and made only where it is missing
  const above: Step[] =
    facts.snap === undefined || parent === STATE_PARENT
      ? []
      : [{ kind: 'make_folder', path: parent, owner: 'root', mode: 0o700 }];
  return [...above, { kind: 'make_folder', path, owner: 'nextcloud', mode: 0o700 }];
}

/** Where it is already, if that is writable; else the first writable path that is not the vendor's own; else a new one. */
export function placeForApp(facts: Facts): { readonly path: string; readonly add: AppsPath | null } {
  const writable = facts.appsPaths.filter((candidate) => candidate.writable);
  const current = writable.find((candidate) => facts.app.files?.path === `${candidate.path}/${APP_ID}`);
  const own = writable.find((candidate) => candidate.path !== `${facts.root}/apps`);
  const chosen = current ?? own ?? writable[0];
  if (chosen !== undefined) return { path: `${chosen.path}/${APP_ID}`, add: null };
  const add = { path: `${facts.root}/custom_apps`, url: '/custom_apps', writable: true };
  return { path: `${add.path}/${APP_ID}`, add };
}

function addAppsPath(facts: Facts, added: AppsPath): Step[] {
  return [
    { kind: 'make_folder', path: added.path, owner: 'nextcloud', mode: 0o755 },
    { kind: 'set_apps_paths', paths: [...facts.appsPaths, added] },
  ];
}

/** `null` when the files are as wanted to the last byte. */
function changesBetween(files: AppFiles | null, wanted: Wanted): Changes | null {
  const before = files?.content ?? {};
  const after = wanted.app.content;
  const changes = {
    added: Object.keys(after).filter((name) => before[name] === undefined),
    changed: Object.keys(after).filter((name) => before[name] !== undefined && before[name] !== after[name]),
    removed: Object.keys(before).filter((name) => after[name] === undefined),
  };
  return Object.values(changes).every((names) => names.length === 0) ? null : changes;
}

/** The machine's own copy of the app follows what is put into Nextcloud. */
function watch(facts: Facts, wanted: Wanted, path: string, hook: HookName): WatchStep[] {
  if (facts.watch === undefined || wanted.watch === undefined || !isWatched(facts)) return [];
  const watched = watchedOf(facts, { path, version: wanted.app.version }, hook);
  return watchStepsFor(facts, facts.watch, watched, wanted.watch);
}

function entryHooks({ container }: Facts): Step[] {
  const stale = (container?.entryHooks ?? []).filter(({ writable, content, wanted }) => writable && content !== wanted);
  return stale.map(({ path, wanted, content }) => ({
    kind: 'write_entry_hook',
    path,
    content: wanted,
    isNew: content === null,
  }));
}

function timer(facts: Facts, wanted: Wanted): Step[] {
  const files = timerFilesFor(facts.scheduler, {
    instanceId: facts.instanceId,
    way: facts.heartbeat,
    script: wanted.heartbeat,
    stateFolder: facts.stateFolder.path,
  });
  const steps: Step[] = [];
  for (const [path, content] of Object.entries(files)) {
    const before = facts.timerFiles[path];
    if (before !== content) steps.push({ kind: 'write_file', path, content, isNew: before === undefined });
  }
  for (const path of Object.keys(facts.timerFiles)) {
    if (files[path] === undefined) steps.push({ kind: 'remove_file', path });
  }
  const changed = steps.some((step) => step.kind === 'write_file' && step.path.startsWith('/etc/systemd/'));
  if (facts.scheduler === 'systemd' && changed) steps.push({ kind: 'start_timer', unit: timerUnit(facts.instanceId) });
  return steps;
}

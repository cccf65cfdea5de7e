import { sha256 } from '../../platform/encoding.ts';
import type { Facts, WatchFacts } from '../facts.ts';
import {
  patchedCopy,
  type Watched,
  type WatchFile,
  type WatchParts,
  watchFilesFor,
  watchFolder,
  watchPathsOutside,
  watchSettingsOf,
  watchUnits,
} from './watch-files.ts';

/** One thing to be done to the watch on a machine. */
export type WatchStep =
  | { readonly kind: 'watch_folder'; readonly path: string }
  /** `content` is no part of the plan as JSON: the app is in there. */
  | ({ readonly kind: 'watch_file'; readonly content: () => Buffer } & Omit<WatchFile, 'data'>)
  /** A copy of a file of Nextcloud's, made once it is as its hash says. */
  | { readonly kind: 'watch_core'; readonly path: string; readonly from: string; readonly sha512: string }
  | { readonly kind: 'stop_watch'; readonly unit: string }
  | { readonly kind: 'start_watch'; readonly unit: string }
  | { readonly kind: 'remove_watch'; readonly path: string };

/** True when the machine looks after the app by itself. */
export function isWatched(facts: Facts): boolean {
  const { watch, instanceId } = facts;
  return watch?.files[`${watchFolder(instanceId)}/settings.sh`] !== undefined;
}

/** Pure: what installs the watch, or brings it up to what it should be; an empty list when it is. */
export function watchStepsFor(facts: Facts, way: WatchFacts, watched: Watched, parts: WatchParts): WatchStep[] {
  const { instanceId, scheduler } = facts;
  const settings = watchSettingsOf(facts, way, watched);
  const wanted = watchFilesFor(scheduler, settings, parts);
  const changed = wanted.filter(({ path, data }) => way.files[path] !== sha256(data).toString('hex'));
  const outside = watchPathsOutside(instanceId);
  const copy = patchedCopy(instanceId);
  const core = wanted.length > 0 && watched.core?.mayPut === true ? watched.core : null;
  const isNewHook = changed.some(({ path }) => path.endsWith('/settings.sh'));
  const copies = core !== null && (way.files[copy] === undefined || isNewHook) ? [core] : [];
  const known = [...wanted.map(({ path }) => path), ...(core === null ? [] : [copy])];
  const stale = [...outside, copy].filter((path) => way.files[path] !== undefined && !known.includes(path));
  if (changed.length + stale.length + copies.length === 0) return [];
  const folder = watchFolder(instanceId);
  // systemd reads a unit anew only when it is started anew
  const unitsChange = [...changed.map(({ path }) => path), ...stale].some((path) => path.startsWith('/etc/systemd/'));
  const running = watchUnits(instanceId).filter((unit) => way.files[`/etc/systemd/system/${unit}`] !== undefined);
  const started = watchUnits(instanceId).filter((unit) => wanted.some(({ path }) => path.endsWith(`/${unit}`)));
  return [
    ...(unitsChange ? running.map((unit) => ({ kind: 'stop_watch' as const, unit })) : []),
    ...(way.folder ? [] : [{ kind: 'watch_folder' as const, path: folder }]),
    ...changed.map(({ path, mode, data }) => ({ kind: 'watch_file' as const, path, mode, content: () => data })),
    ...copies.map(({ file, after }) => ({ kind: 'watch_core' as const, path: copy, from: file, sha512: after })),
    ...stale.map((path) => ({ kind: 'remove_watch' as const, path })),
    ...(unitsChange ? started.map((unit) => ({ kind: 'start_watch' as const, unit })) : []),
  ];
}

/** Pure: what takes all of it away; an empty list when nothing is there. */
export function watchRemovalFor(facts: Facts): WatchStep[] {
  const { watch, instanceId } = facts;
  if (watch === undefined) return [];
  const there = watchPathsOutside(instanceId).filter((path) => watch.files[path] !== undefined);
  const units = watchUnits(instanceId).filter((unit) => there.includes(`/etc/systemd/system/${unit}`));
  return [
    ...units.map((unit) => ({ kind: 'stop_watch' as const, unit })),
    ...there.map((path) => ({ kind: 'remove_watch' as const, path })),
    ...(watch.folder ? [{ kind: 'remove_watch' as const, path: watchFolder(instanceId) }] : []),
  ];
}

import type { Facts, HookName, Obstacle } from '../facts.ts';
import { coverFilesFor } from './core-cover.ts';

/** What puts the hook `core` in, or takes it out. */
export type CoreStep =
  /** `before` and `after` are the file's SHA-512: anything else is left alone. */
  | {
      readonly kind: 'patch_core';
      readonly path: string;
      readonly before: string;
      readonly after: string;
      readonly major: number;
    }
  | { readonly kind: 'unpatch_core'; readonly path: string; readonly before: string; readonly after: string }
  /** The changed copy of a file that cannot be written, and what mounts it. */
  | {
      readonly kind: 'cover_core';
      readonly path: string;
      readonly before: string;
      readonly signed: string;
      readonly after: string;
      readonly major: number;
      readonly instanceId: string;
      readonly isNew: boolean;
      /** What mounts it, by path. */
      readonly files: Readonly<Record<string, string>>;
    }
  | { readonly kind: 'uncover_core'; readonly path: string; readonly instanceId: string }
  | { readonly kind: 'remember_hook'; readonly hook: 'core' | null };

/** What is left to do before the app goes. */
export type CoreRemovalStep = Extract<CoreStep, { kind: 'unpatch_core' | 'uncover_core' }>;

/** What was asked for now, else what was asked for before, else what is there. */
export function wantedHook(facts: Facts, asked: HookName | null): HookName {
  return asked ?? facts.hook ?? (facts.core?.marked === true ? 'core' : 'app');
}

/** Pure. The app's files must be there before, because the changed file loads them. */
export function coreSteps(facts: Facts, asked: HookName | null): CoreStep[] {
  const isCore = wantedHook(facts, asked) === 'core';
  if (isCore && facts.core?.hooked === null) return []; // `coreObstacles` says why
  const steps = isCore ? putIn(facts) : takeOut(facts);
  return (facts.hook === 'core') === isCore
    ? steps
    : [...steps, { kind: 'remember_hook', hook: isCore ? 'core' : null }];
}

function putIn({ core, instanceId, version: { major } }: Facts): CoreStep[] {
  if (core === undefined || core.now === null || core.signed === null || core.hooked === null) return [];
  const { path, cover, now: before, hooked: after } = core;
  if (cover === null) return core.state === 'patched' ? [] : [{ kind: 'patch_core', path, before, after, major }];
  const { before: followers, script } = cover;
  const files = coverFilesFor({ instanceId, path, before: followers, signed: core.signed, script });
  const isSame = Object.entries(files).every(([name, content]) => cover.files[name] === content);
  if (core.state === 'patched' && isSame) return [];
  const isNew = Object.keys(cover.files).length === 0;
  return [{ kind: 'cover_core', path, before, signed: core.signed, after, major, instanceId, isNew, files }];
}

/** Also what takes the hook out before the app goes. A file that somebody else changed too is left to `coreObstacles`. */
export function takeOut({ core, instanceId }: Facts): CoreRemovalStep[] {
  if (core === undefined) return [];
  const { path, cover, now, signed, state } = core;
  if (cover !== null && Object.keys(cover.files).length > 0) {
    return [{ kind: 'uncover_core', path, instanceId }];
  }
  const isOurs = state === 'patched' || state === 'outdated';
  return isOurs && now !== null && signed !== null ? [{ kind: 'unpatch_core', path, before: now, after: signed }] : [];
}

/** Pure: what stands in the way of the hook that is wanted, and what its owner should know of it. */
export function coreObstacles(facts: Facts, asked: HookName | null): Obstacle[] {
  const { core } = facts;
  if (core === undefined) return [];
  if (wantedHook(facts, asked) === 'app') {
    if (!core.marked || core.state === 'patched' || core.state === 'outdated') return [];
    return [{ ...changedByOthers(core.path), blocking: true }];
  }
  if (core.refusal !== null) return [{ ...core.refusal, blocking: true }];
  return [
    {
      code: 'core_file_changed_by_us',
      message: `with --hook core nextcloud's own integrity check calls ${core.path} changed (INVALID_HASH)`,
      hint: 'that is our change and nothing else: "ncpatch audit" compares the rest of it with what the vendor signed',
      blocking: false,
    },
  ];
}

/** For who would remove the app from under a file that needs it. */
export function changedByOthers(path: string): { code: string; message: string; hint: string } {
  return {
    code: 'core_file_changed',
    message: `${path} holds our hook, and other changes that the vendor did not sign`,
    hint: 'put back the file of the release, then run this again',
  };
}

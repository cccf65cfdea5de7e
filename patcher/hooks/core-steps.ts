import type { Action, Undoer } from '../actions/action.ts';
import { bindMount, bindMountUndoer } from '../actions/bind-mount.ts';
import { makeDirectory } from '../actions/make-directory.ts';
import { onMachine, onMachineUndoer } from '../actions/on-machine.ts';
import { changeCoreFile } from '../actions/patch-file.ts';
import { removePath } from '../actions/remove-path.ts';
import { setSystemValue } from '../actions/system-value.ts';
import { disableUnit, enableUnit } from '../actions/systemd-units.ts';
import { writeFile } from '../actions/write-file.ts';
import type { RunPhp } from '../targets/target.ts';
import { coverFolder, coverPaths, coverUnits } from './core-cover.ts';
import type { CoreRemovalStep, CoreStep } from './core-plan.ts';

/** The system value that remembers `apply --hook core`. */
export const HOOK_VALUE = 'remotekeystorage.hook';

const ROOT = { uid: 0, gid: 0 };

export const coreUndoers: readonly Undoer[] = [onMachineUndoer(bindMountUndoer)];

/** How a step of the hook `core` is done. */
export function coreActions(step: CoreStep, runPhp: RunPhp): Action[] {
  switch (step.kind) {
    case 'patch_core':
      return [changeCoreFile({ ...step, before: [step.before], want: 'hook' }, runPhp)];
    case 'cover_core':
      return coverActions(step, runPhp);
    case 'remember_hook':
      return [setSystemValue(HOOK_VALUE, step.hook)];
    default:
      return coreRemovalActions(step);
  }
}

/** How the hook `core` is taken out. */
export function coreRemovalActions(step: CoreRemovalStep): Action[] {
  switch (step.kind) {
    case 'unpatch_core':
      return [changeCoreFile({ ...step, before: [step.before], major: 0, want: 'stock' }, null)];
    case 'uncover_core': {
      const [service = '', path = ''] = coverUnits(step.instanceId);
      const folder = coverFolder(step.instanceId);
      const units = coverPaths(step.instanceId).filter((name) => !name.startsWith(`${folder}/`));
      return [
        disableUnit(path),
        disableUnit(service),
        bindMount(coverOf(step), 'uncover'),
        ...units.map((name) => removePath(name)),
        removePath(folder),
      ].map(onMachine);
    }
  }
}

/** The copy is made and mounted first; the units do the same at boot and when the path leads elsewhere. */
function coverActions(step: Extract<CoreStep, { kind: 'cover_core' }>, runPhp: RunPhp): Action[] {
  const { path, before, signed, after, major, instanceId, isNew, files } = step;
  const folder = coverFolder(instanceId);
  const cover = coverOf(step);
  const copy = { path, to: `${folder}/copy`, before: [before, signed], after, major, want: 'hook' } as const;
  const actions = [
    ...(isNew ? [] : [bindMount(cover, 'uncover')]),
    makeDirectory({ path: folder, mode: 0o700, ...ROOT }),
    changeCoreFile(copy, runPhp),
    ...Object.entries(files).map(([name, content]) =>
      writeFile({ path: name, data: Buffer.from(content), mode: 0o644, ...ROOT }),
    ),
    bindMount(cover, 'cover'),
    ...coverUnits(instanceId).map((unit) => enableUnit(unit)),
  ];
  return actions.map(onMachine);
}

function coverOf({ path, instanceId }: { path: string; instanceId: string }): Parameters<typeof bindMount>[0] {
  const folder = coverFolder(instanceId);
  return { path, folder, script: `${folder}/cover.sh` };
}

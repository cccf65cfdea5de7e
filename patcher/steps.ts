import type { Action, Undoer } from './actions/action.ts';
import { appSwitchUndoer, switchApp } from './actions/app-switch.ts';
import { appUpgradeUndoer, upgradeApp } from './actions/app-upgrade.ts';
import { appValuesUndoer, forgetAppValues } from './actions/app-values.ts';
import { closeWeb, maintenanceUndoer, openWeb } from './actions/maintenance.ts';
import { makeDirectory } from './actions/make-directory.ts';
import { onMachine } from './actions/on-machine.ts';
import { removePath } from './actions/remove-path.ts';
import { setSystemValue } from './actions/system-value.ts';
import { disableUnit, enableUnit } from './actions/systemd-units.ts';
import { undoers } from './actions/undoers.ts';
import { uploadTree } from './actions/upload-tree.ts';
import { writeFile } from './actions/write-file.ts';
import type { LocalApp } from './app-files.ts';
import { APP_ID } from './facts.ts';
import { coreActions, coreRemovalActions, coreUndoers } from './hooks/core-steps.ts';
import type { Step } from './plan.ts';
import type { RemovalStep } from './removal.ts';
import type { Instance } from './targets/target.ts';
import { actionsForWatch } from './watch/watch-steps.ts';

const ROOT = { uid: 0, gid: 0 };

/** Everything a journal of ours may have to undo. */
export const ALL_UNDOERS: readonly Undoer[] = [
  ...undoers,
  appSwitchUndoer,
  appUpgradeUndoer,
  appValuesUndoer,
  maintenanceUndoer,
  ...coreUndoers,
];

/** How a step of the plan is done. */
export function actionsFor(step: Step, instance: Instance, app: LocalApp): Action[] {
  const nextcloud = { uid: instance.owner.uid, gid: instance.owner.gid };
  switch (step.kind) {
    case 'make_folder':
      return [makeDirectory({ path: step.path, mode: step.mode, ...(step.owner === 'root' ? ROOT : nextcloud) })];
    case 'set_apps_paths':
      return [
        setSystemValue(
          'apps_paths',
          step.paths.map(({ path, url, writable }) => ({ path, url, writable })),
        ),
      ];
    case 'close_web':
      return [closeWeb(APP_ID)];
    case 'open_web':
      return [openWeb(APP_ID)];
    case 'deploy_app':
      return [uploadTree({ path: step.path, files: app.files, mode: 0o755, ...nextcloud })];
    case 'remove_tree':
      return [removePath(step.path)];
    case 'enable_app':
      return [switchApp(APP_ID, 'on')];
    case 'upgrade_app':
      return [upgradeApp(APP_ID, step.to)];
    case 'write_file':
      return [onMachine(writeFile({ path: step.path, data: Buffer.from(step.content), mode: 0o644, ...ROOT }))];
    case 'remove_file':
      return [onMachine(removePath(step.path))];
    case 'write_entry_hook':
      return [writeFile({ path: step.path, data: Buffer.from(step.content), mode: 0o755, ...ROOT })];
    case 'start_timer':
      return [onMachine(enableUnit(step.unit))];
    case 'patch_core':
    case 'unpatch_core':
    case 'cover_core':
    case 'uncover_core':
    case 'remember_hook':
      return coreActions(step, instance.runPhp);
    default:
      return actionsForWatch(step);
  }
}

/** How a step of the removal is done. */
export function actionsForRemoval(step: RemovalStep): Action[] {
  switch (step.kind) {
    case 'stop_timer':
      return [onMachine(disableUnit(step.unit))];
    case 'remove_file':
      return [onMachine(removePath(step.path))];
    case 'remove_app':
    case 'remove_entry_hook':
      return [removePath(step.path)];
    case 'disable_app':
      return [switchApp(APP_ID, 'off')];
    case 'forget_app_values':
      return [forgetAppValues(APP_ID)];
    case 'delete_config':
      return [setSystemValue(step.name, null)];
    case 'unpatch_core':
    case 'uncover_core':
      return coreRemovalActions(step);
    default:
      return actionsForWatch(step);
  }
}

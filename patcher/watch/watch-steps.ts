import type { Action } from '../actions/action.ts';
import { makeDirectory } from '../actions/make-directory.ts';
import { onMachine } from '../actions/on-machine.ts';
import { removePath } from '../actions/remove-path.ts';
import { disableUnit, enableUnit } from '../actions/systemd-units.ts';
import { writeFile } from '../actions/write-file.ts';
import type { WatchStep } from './watch-plan.ts';

const ROOT = { uid: 0, gid: 0 };

/** How a step of the watch is done: all of it is root's, and on the machine. */
export function actionsForWatch(step: WatchStep): Action[] {
  switch (step.kind) {
    case 'watch_folder':
      return [onMachine(makeDirectory({ path: step.path, mode: 0o700, ...ROOT }))];
    case 'watch_file':
      return [onMachine(writeFile({ path: step.path, data: step.content(), mode: step.mode, ...ROOT }))];
    case 'stop_watch':
      return [onMachine(disableUnit(step.unit))];
    case 'start_watch':
      return [onMachine(enableUnit(step.unit))];
    case 'remove_watch':
      return [onMachine(removePath(step.path))];
  }
}

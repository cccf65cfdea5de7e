import { createHash } from 'node:crypto';
import { LatchkeyError } from '../../platform/errors.ts';
import type { Action, ActionContext } from '../actions/action.ts';
import { makeDirectory } from '../actions/make-directory.ts';
import { onMachine } from '../actions/on-machine.ts';
import { removePath } from '../actions/remove-path.ts';
import { disableUnit, enableUnit } from '../actions/systemd-units.ts';
import { writeFile } from '../actions/write-file.ts';
import type { WatchStep } from './watch-plan.ts';

const ROOT = { uid: 0, gid: 0 };
const CORE_MAX_BYTES = 4 * 1024 * 1024;

/** How a step of the watch is done: all of it is root's, and on the machine. */
export function actionsForWatch(step: WatchStep): Action[] {
  switch (step.kind) {
    case 'watch_folder':
      return [onMachine(makeDirectory({ path: step.path, mode: 0o700, ...ROOT }))];
    case 'watch_file':
      return [onMachine(writeFile({ path: step.path, data: step.content(), mode: step.mode, ...ROOT }))];
    case 'watch_core':
      return [copyPatched(step)];
    case 'stop_watch':
      return [onMachine(disableUnit(step.unit))];
    case 'start_watch':
      return [onMachine(enableUnit(step.unit))];
    case 'remove_watch':
      return [onMachine(removePath(step.path))];
  }
}

/** Copies a file from among Nextcloud's to the machine. What it is to be is only there when the steps before it are done. */
function copyPatched({ path, from, sha512 }: Extract<WatchStep, { kind: 'watch_core' }>): Action {
  const writing = async ({ transport }: ActionContext): Promise<Action> => {
    const data = await transport.readFile(from, { max: CORE_MAX_BYTES });
    if (data === null || createHash('sha512').update(data).digest('hex') !== sha512) {
      throw new LatchkeyError('hook_file_form', `${from} is not as it was to become`, { hint: 'run: ncpatch apply' });
    }
    return onMachine(writeFile({ path, data, mode: 0o600, ...ROOT }));
  };
  return {
    kind: 'machine/write-file',
    describe: () => `keep a copy of ${from} as ${path}`,
    diff: async () => `copy of ${from} with the hook in it\n`,
    prepare: async (context, originals) => (await writing(context)).prepare(context, originals),
    do: async (context, undo) => (await writing(context)).do(context, undo),
  };
}

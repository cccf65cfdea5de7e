import type { Action, ActionContext, Undoer } from './action.ts';

const PREFIX = 'machine/';

/** The same change, made on the machine that Nextcloud runs on, and not among Nextcloud's own files: they may be in a container. */
export function onMachine(action: Action): Action {
  return {
    kind: `${PREFIX}${action.kind}`,
    describe: () => action.describe(),
    diff: (context) => action.diff(moved(context)),
    prepare: (context, originals) => action.prepare(moved(context), originals),
    do: (context, undo) => action.do(moved(context), undo),
  };
}

/** Undoes what `onMachine` had done. */
export function onMachineUndoer(undoer: Undoer): Undoer {
  const { finish } = undoer;
  return {
    kind: `${PREFIX}${undoer.kind}`,
    undo: (context, undo, originals) => undoer.undo(moved(context), undo, originals),
    ...(finish === undefined ? {} : { finish: (context, undo) => finish(moved(context), undo) }),
  };
}

function moved(context: ActionContext): ActionContext {
  return { ...context, transport: context.machine };
}

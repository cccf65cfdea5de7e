import type { Undoer } from './action.ts';
import { makeDirectoryUndoer } from './make-directory.ts';
import { onMachineUndoer } from './on-machine.ts';
import { removePathUndoer } from './remove-path.ts';
import { runOccUndoer } from './run-occ.ts';
import { setModeUndoer } from './set-mode.ts';
import { systemValueUndoer } from './system-value.ts';
import { enableUnitUndoer } from './systemd-units.ts';
import { uploadTreeUndoer } from './upload-tree.ts';
import { writeFileUndoer } from './write-file.ts';

const plain: readonly Undoer[] = [
  writeFileUndoer,
  makeDirectoryUndoer,
  uploadTreeUndoer,
  removePathUndoer,
  runOccUndoer,
  systemValueUndoer,
  setModeUndoer,
  enableUnitUndoer,
];

/** Every kind of step a journal may hold. A kind once written to a journal stays readable. */
export const undoers: readonly Undoer[] = [...plain, ...plain.map(onMachineUndoer)];

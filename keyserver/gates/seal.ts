import { deny, type Gate, pass } from '../gate.ts';

/** A sealed vault opens nothing; the operator has to unseal it. */
export const seal: Gate = {
  name: 'seal',
  uniform: false,
  judge: (_request, state) => (state.sealed ? deny('sealed') : pass),
};

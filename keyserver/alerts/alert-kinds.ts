import type { Kinds } from './alert-kind.ts';
import { machineKinds } from './machine-kinds.ts';
import { ownerKinds } from './owner-kinds.ts';
import { serverKinds } from './server-kinds.ts';
import { watchKinds } from './watch-kinds.ts';

/** How each kind of alert is sorted and told. */
export const kinds: Kinds = { ...machineKinds, ...ownerKinds, ...serverKinds, ...watchKinds };

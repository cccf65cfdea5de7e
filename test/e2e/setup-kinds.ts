import type { CloudKind } from '../harness/whole-cloud.ts';
import { container } from '../harness/whole-container.ts';
import { lamp } from '../harness/whole-nextcloud.ts';
import { snap } from '../harness/whole-snap.ts';

/** By the name that a command line has for them. */
export const KINDS: readonly CloudKind[] = [lamp, snap, container];

import { LatchkeyError } from '../../platform/errors.ts';
import type { Occ } from '../actions/action.ts';
import type { Facts } from '../facts.ts';
import type { Progress } from '../progress.ts';
import { openOwnerCopy } from './owner-copy.ts';
import { readCopy } from './owner-copy-file.ts';
import { remoteKey } from './remote-key.ts';

export interface RestoreOrder {
  /** The owner's copy; `null` asks the key server. */
  readonly copy: { readonly path: string; readonly passphrase: string } | null;
}

export interface RestoreReport {
  readonly source: 'copy' | 'key-server';
  readonly written: readonly string[];
  readonly restored: readonly string[];
  readonly files: number;
}

/** Throws `not_enrolled` (exit 3): there is no key server to ask. */
export function refuseUnenrolled(facts: Facts): void {
  if (facts.enrolment !== null) return;
  throw new LatchkeyError('not_enrolled', 'the server is not enrolled at a key server', {
    exit: 3,
    hint: "keys come from the owner's copy then: ncpatch restore --from-copy FILE",
  });
}

/**
 * Brings the private keys back to the server's disk, then lets Nextcloud use those. The key server keeps its own, so
 * this can be cut off anywhere and run again.
 */
export async function restore(
  facts: Facts,
  order: RestoreOrder,
  deps: { readonly occ: Occ; readonly progress: Progress },
): Promise<RestoreReport> {
  const keys = order.copy === null ? null : await keysFromCopy(facts, order.copy);
  const app = remoteKey(deps.occ);
  deps.progress.step(
    keys === null ? 'bring the keys back from the key server' : "bring the keys back from the owner's copy",
  );
  const { written, missing } = await app.restoreWrite(keys);
  if (missing.length > 0) {
    throw new LatchkeyError('keys_missing', `the copy does not hold ${missing.join(', ')}`, {
      exit: 3,
      hint: 'use a newer copy, or the key server: ncpatch restore without --from-copy',
    });
  }
  deps.progress.step('let nextcloud use the keys on its disk, and decrypt with them');
  const { restored, files } = await app.restoreFinish();
  return { source: keys === null ? 'key-server' : 'copy', written, restored, files };
}

async function keysFromCopy(
  facts: Facts,
  copy: { readonly path: string; readonly passphrase: string },
): Promise<Record<string, string>> {
  const text = await readCopy(copy.path);
  if (text === null) throw new LatchkeyError('file_not_read', `${copy.path} is not there`, { exit: 2 });
  const { header, keys } = await openOwnerCopy(text, copy.passphrase);
  if (header.instanceId !== facts.instanceId) {
    throw new LatchkeyError(
      'copy_of_another',
      `the copy is of the nextcloud ${header.instanceId}, this one is ${facts.instanceId}`,
      {
        exit: 3,
      },
    );
  }
  return Object.fromEntries(Object.entries(keys).map(([id, bytes]) => [id, bytes.toString('base64')]));
}

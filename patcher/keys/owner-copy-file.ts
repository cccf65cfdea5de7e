import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { RandomBytes } from '../../platform/clock.ts';
import { sha256 } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { createSecretFile } from '../../platform/files.ts';
import { type Keys, MAX_COPY_BYTES, openOwnerCopy, sealOwnerCopy } from './owner-copy.ts';

export interface CopyOrder {
  readonly path: string;
  readonly passphrase: string;
  readonly instanceId: string;
  readonly clientId: string;
}

/**
 * Leaves an owner's copy of these keys on this machine: written to a new file, durable, read back, opened and compared
 * byte for byte. A file that is there already is kept when it opens to the same keys (an earlier run was cut off) and
 * otherwise refused, never replaced.
 */
export async function keepOwnerCopy(
  keys: Keys,
  order: CopyOrder,
  deps: { readonly now: () => number; readonly random: RandomBytes },
): Promise<'written' | 'present'> {
  const present = await readCopy(order.path);
  if (present !== null) {
    const opened = await openOwnerCopy(present, order.passphrase);
    if (opened.header.instanceId === order.instanceId && sameKeys(opened.keys, keys)) return 'present';
    throw new LatchkeyError('file_exists', `${order.path} is there already and holds other keys`, {
      exit: 3,
      hint: 'name a new file with --copy; an older copy is never overwritten',
    });
  }
  const about = { instanceId: order.instanceId, clientId: order.clientId, made: new Date(deps.now()) };
  createSecretFile(resolve(order.path), await sealOwnerCopy(keys, about, order.passphrase, deps.random));
  const back = await readCopy(order.path);
  const opened = back === null ? null : await openOwnerCopy(back, order.passphrase);
  if (opened === null || !sameKeys(opened.keys, keys)) {
    throw new LatchkeyError('copy_not_written', `${order.path} does not read back as it was written`, {
      hint: 'nothing was removed from the server; write the copy to another disk',
    });
  }
  return 'written';
}

/** Reads the file of a copy; `null` when it is not there. */
export async function readCopy(path: string): Promise<string | null> {
  try {
    const data = await readFile(path);
    if (data.length > MAX_COPY_BYTES * 2)
      throw new LatchkeyError('copy_unreadable', `${path} is too large for an owner's copy`);
    return data.toString('utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') return null;
    if (error instanceof LatchkeyError) throw error;
    throw new LatchkeyError('file_not_read', `${path} could not be read (${code ?? 'unknown'})`, { cause: error });
  }
}

function sameKeys(a: Keys, b: Keys): boolean {
  const digest = (keys: Keys): string =>
    Object.keys(keys)
      .sort()
      .map((id) => `${id}=${sha256(keys[id] ?? '').toString('hex')}`)
      .join('\n');
  return Object.keys(a).length > 0 && digest(a) === digest(b);
}

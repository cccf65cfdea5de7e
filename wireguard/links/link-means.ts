import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { isLatchkeyError } from '../../platform/errors.ts';
import { run } from '../../platform/run.ts';
import type { LinkMeans } from './link-choice.ts';

const PROGRAMS = ['wg', 'awg', 'wireguard-go', 'amneziawg-go', 'ip'] as const;
const TIMEOUT_MS = 10_000;

/**
 * What this machine has to make interfaces with. That the kernel can is tried: an interface that nobody uses is made and taken
 * away at once, since a module may be there and not load. Without `ip` or the right to make interfaces it is not tried.
 */
export async function linkMeans(env: Readonly<Record<string, string | undefined>>): Promise<LinkMeans> {
  const programs = PROGRAMS.filter((name) => isOnPath(name, env.PATH ?? ''));
  const canTry = programs.includes('ip') && mayMakeLinks();
  return {
    kernel: canTry ? await kernelMakes('wireguard') : null,
    kernelAmnezia: canTry ? await kernelMakes('amneziawg') : null,
    programs,
  };
}

/** Whether this process may make interfaces at all (capabilities(7), CAP_NET_ADMIN); elsewhere than on Linux, whether it is root. */
export function mayMakeLinks(): boolean {
  try {
    const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
    return ((BigInt(`0x${effective}`) >> CAP_NET_ADMIN) & 1n) === 1n;
  } catch {
    return process.getuid?.() === 0;
  }
}

const CAP_NET_ADMIN = 12n;

/** `null` when `ip` did not answer. */
async function kernelMakes(type: string): Promise<boolean | null> {
  const name = `lkp${process.pid % 1_000_000}`;
  try {
    const { exit } = await run(['ip', 'link', 'add', name, 'type', type], { timeoutMs: TIMEOUT_MS, allowExit: 'any' });
    if (exit === 0) await run(['ip', 'link', 'delete', name], { timeoutMs: TIMEOUT_MS, allowExit: 'any' });
    return exit === 0;
  } catch (error) {
    if (isLatchkeyError(error)) return null;
    throw error;
  }
}

function isOnPath(name: string, path: string): boolean {
  return path.split(delimiter).some((folder) => {
    if (folder === '') return false;
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

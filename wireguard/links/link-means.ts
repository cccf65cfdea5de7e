import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { run } from '../../platform/run.ts';
import type { LinkMeans } from './link-choice.ts';

const PROGRAMS = ['wg', 'awg', 'wireguard-go', 'amneziawg-go', 'ip'] as const;
const TIMEOUT_MS = 10_000;

/**
 * What this machine has to make interfaces with. That the kernel can is tried: an interface that nobody uses is made and taken
 * away at once, since a module may be there and not load.
 */
export async function linkMeans(env: Readonly<Record<string, string | undefined>>): Promise<LinkMeans> {
  const programs = PROGRAMS.filter((name) => isOnPath(name, env.PATH ?? ''));
  const canTry = programs.includes('ip');
  return {
    kernel: canTry && (await kernelMakes('wireguard')),
    kernelAmnezia: canTry && (await kernelMakes('amneziawg')),
    programs,
  };
}

async function kernelMakes(type: string): Promise<boolean> {
  const name = `lkp${process.pid % 1_000_000}`;
  const made = await ip(['link', 'add', name, 'type', type]);
  if (made) await ip(['link', 'delete', name]);
  return made;
}

async function ip(args: readonly string[]): Promise<boolean> {
  const { exit } = await run(['ip', ...args], { timeoutMs: TIMEOUT_MS, allowExit: 'any' });
  return exit === 0;
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

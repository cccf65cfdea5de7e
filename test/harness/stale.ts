import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../platform/run.ts';
import { hasProgram } from './programs.ts';

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function isOrphan(name: string, pattern: RegExp): boolean {
  const pid = Number(pattern.exec(name)?.[1] ?? Number.NaN);
  return Number.isSafeInteger(pid) && !isRunning(pid);
}

/** What ends a namespace that a killed test left: the processes in it, by their ids, then the namespace. */
async function removeNamespace(name: string): Promise<void> {
  const inside = await run(['ip', 'netns', 'pids', name], { timeoutMs: 10_000 });
  for (const pid of inside.stdout.toString('utf8').split('\n').filter(Boolean).map(Number))
    process.kill(pid, 'SIGKILL');
  await run(['ip', 'netns', 'delete', name], { timeoutMs: 10_000 });
}

/**
 * Takes away what tests left that were killed before they could clean up. Namespaces and folders of tests carry the id
 * of the process that made them; those of a process that still runs are left alone.
 */
export async function sweepStale(): Promise<readonly string[]> {
  const swept: string[] = [];
  if (process.platform === 'linux' && process.getuid?.() === 0 && hasProgram('ip')) {
    const listed = await run(['ip', 'netns', 'list'], { timeoutMs: 10_000 });
    for (const line of listed.stdout.toString('utf8').split('\n')) {
      const name = line.split(' ')[0] ?? '';
      if (!isOrphan(name, /^lk([0-9]+)-[0-9]+[abc]$/)) continue;
      await removeNamespace(name);
      swept.push(name);
    }
  }
  for (const name of readdirSync(tmpdir())) {
    if (!isOrphan(name, /^latchkey-(?:nextcloud|life)-([0-9]+)-/)) continue;
    const folder = join(tmpdir(), name);
    const mounts = process.platform === 'linux' ? readFileSync('/proc/self/mounts', 'utf8') : '';
    for (const line of mounts.split('\n')) {
      const target = line.split(' ')[1] ?? '';
      if (target.startsWith(`${folder}/`)) await run(['umount', '-l', target], { timeoutMs: 10_000, allowExit: 'any' });
    }
    rmSync(folder, { recursive: true, force: true });
    swept.push(folder);
  }
  return swept;
}

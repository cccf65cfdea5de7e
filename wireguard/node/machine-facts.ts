import { statfsSync } from 'node:fs';
import { hostname, loadavg, uptime } from 'node:os';
import type { MachineFacts } from './node-status.ts';

/** This machine; the disk is the one that `folder` is on. */
export function machineFacts(folder: string): MachineFacts {
  const [one = 0, five = 0, fifteen = 0] = loadavg().map((value) => Math.round(value * 100) / 100);
  return {
    hostname: hostname(),
    uptimeSeconds: Math.floor(uptime()),
    load: [one, five, fifteen],
    diskFree: freeOn(folder),
  };
}

function freeOn(folder: string): number | null {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch {
    return null;
  }
}

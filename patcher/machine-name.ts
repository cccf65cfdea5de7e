import { existsSync, readFileSync } from 'node:fs';
import { sha256 } from '../platform/encoding.ts';
import { run } from '../platform/run.ts';

const DIGITS = 8;
const FILES = ['/etc/machine-id', '/var/lib/dbus/machine-id'];

/** The id of this machine, a Mac's from its hardware; `null` where it has none. */
export async function machineIdHere(platform: string, ioreg = '/usr/sbin/ioreg'): Promise<string | null> {
  if (platform !== 'darwin') {
    const file = FILES.find((path) => existsSync(path));
    return file === undefined ? null : readFileSync(file, 'utf8');
  }
  try {
    const { stdout } = await run([ioreg, '-rd1', '-c', 'IOPlatformExpertDevice'], { timeoutMs: 5_000 });
    const [, uuid] = /"IOPlatformUUID" = "([0-9A-Fa-f-]{36})"/.exec(stdout.toString('utf8')) ?? [];
    return uuid?.replaceAll('-', '').toLowerCase() ?? null;
  } catch {
    return null;
  }
}

/**
 * What this machine is called in a lock: its host name and eight digits of a digest of its machine id. Many machines are
 * called `debian`; the id itself is not to be told to others (machine-id(5)). Without an id the host name must do.
 */
export function machineName(host: string, machineId: string | null): string {
  const id = machineId?.trim() ?? '';
  return /^[0-9a-f]{32}$/.test(id)
    ? `${host}-${sha256(`latchkey ncpatch ${id}`).toString('hex').slice(0, DIGITS)}`
    : host;
}

/** Whether no other machine is called so: two may have one host name. */
export function isOneMachine(name: string): boolean {
  return new RegExp(`-[0-9a-f]{${DIGITS}}$`).test(name);
}

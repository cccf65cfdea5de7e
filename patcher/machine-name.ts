import { sha256 } from '../platform/encoding.ts';

const DIGITS = 8;

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

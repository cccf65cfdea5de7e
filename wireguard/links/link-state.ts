import { lstatSync } from 'node:fs';
import * as z from 'zod';
import { isLatchkeyError } from '../../platform/errors.ts';
import { run } from '../../platform/run.ts';
import { formatPrefix, parsePrefix } from '../address/prefix.ts';
import { noAnswer, programMissing } from './link-trouble.ts';

/** Words before each command, such as `ip netns exec NAME`; none for this process's own network. */
export type Inside = readonly string[];

/** An interface as Linux has it. */
export interface LinkState {
  /** Link-local ones are left out. */
  readonly addresses: readonly string[];
  readonly mtu: number | null;
  readonly isUp: boolean;
  /** `wireguard`, `amneziawg`, `tun`, `dummy` …; `device` where the system gives it none. */
  readonly kind: string;
}

const TIMEOUT_MS = 10_000;
const SOCKET_FOLDERS = ['/var/run/wireguard', '/var/run/amneziawg'];

const shownSchema = z.array(
  z.object({
    mtu: z.int().optional(),
    flags: z.array(z.string()).optional(),
    linkinfo: z.object({ info_kind: z.string().optional() }).optional(),
    addr_info: z.array(z.object({ local: z.string(), prefixlen: z.int(), scope: z.string().optional() })).optional(),
  }),
);

/** The interface of that name, `null` when there is none. Throws `link_missing` where `ip` is not installed. */
export async function readLink(
  name: string,
  inside: Inside = [],
  timeoutMs: number = TIMEOUT_MS,
): Promise<LinkState | null> {
  const { exit, stdout } = await callIp(['-details', '-json', 'address', 'show', 'dev', name], inside, timeoutMs);
  if (exit !== 0) return null;
  const [shown] = shownSchema.parse(JSON.parse(stdout));
  if (shown === undefined) return null;
  const own = (shown.addr_info ?? []).filter(({ scope }) => scope !== 'link');
  return {
    addresses: own.map(({ local, prefixlen }) => formatPrefix(parsePrefix(`${local}/${prefixlen}`, 'addresses'))),
    mtu: shown.mtu ?? null,
    isUp: shown.flags?.includes('UP') === true,
    kind: shown.linkinfo?.info_kind ?? 'device',
  };
}

/** Pure: whether what has the name is a WireGuard. A program's is a tun device with a control socket of its name beside it. */
export function isWireGuardLink(kind: string, hasSocket: boolean): boolean {
  return kind === 'wireguard' || kind === 'amneziawg' || (kind === 'tun' && hasSocket);
}

export function hasControlSocket(name: string): boolean {
  return SOCKET_FOLDERS.some((folder) => {
    try {
      return lstatSync(`${folder}/${name}.sock`).isSocket();
    } catch {
      return false;
    }
  });
}

/** Runs `ip`, whatever its exit code. Throws `link_missing`, and `link_not_made` where it hangs. */
export async function callIp(
  args: readonly string[],
  inside: Inside,
  timeoutMs: number = TIMEOUT_MS,
): Promise<{ exit: number; stdout: string; stderr: string }> {
  const [first = 'ip', ...rest] = [...inside, 'ip', ...args];
  try {
    const { exit, stdout, stderr } = await run([first, ...rest], { timeoutMs, allowExit: 'any' });
    return { exit, stdout: stdout.toString('utf8'), stderr };
  } catch (error) {
    if (isLatchkeyError(error, 'command_missing')) throw programMissing('ip');
    if (isLatchkeyError(error, 'command_timeout')) throw noAnswer('ip', error);
    throw error;
  }
}

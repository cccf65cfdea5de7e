import { closeSync, constants, openSync } from 'node:fs';
import { LatchkeyError } from '../../platform/errors.ts';
import { mayMakeLinks } from './link-means.ts';

/** What of this machine decides whether an interface can be made. */
export interface LinkRights {
  readonly mayMakeLinks: boolean;
  /** The code with which `/dev/net/tun` cannot be opened, `null` when it can. */
  readonly tun: string | null;
}

export function linkRights(): LinkRights {
  return { mayMakeLinks: mayMakeLinks(), tun: tunTrouble('/dev/net/tun') };
}

function tunTrouble(path: string): string | null {
  try {
    closeSync(openSync(path, constants.O_RDWR));
    return null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown';
  }
}

/**
 * Pure: why the interface could not be made, from what the machine has: the reason that is nearest to the cause. `program` is the
 * one that is the interface, `null` for the kernel; `words` is said when nothing is known to be missing.
 */
export function linkTrouble(
  name: string,
  program: string | null,
  { mayMakeLinks: isAllowed, tun }: LinkRights,
  words: string,
  stderr = '',
): LatchkeyError {
  if (!isAllowed) {
    return trouble('link_refused', `${name} cannot be made without CAP_NET_ADMIN`, {
      hint: 'run the hub as root, or give its service AmbientCapabilities=CAP_NET_ADMIN',
    });
  }
  if (program !== null && tun !== null) {
    return trouble('tun_missing', `${program} cannot make ${name}: /dev/net/tun cannot be opened (${tun})`, {
      hint: 'modprobe tun; in a container hand it the device: --device /dev/net/tun',
    });
  }
  const hint = program === null ? `see: ip link add ${name} type wireguard` : `see: ${program} -f ${name}`;
  return trouble('link_not_made', words, { hint: `${hint}; wghub doctor tells what is missing`, stderr });
}

/** The name belongs to something that is no WireGuard, which is left as it is. */
export function nameTaken(name: string, kind: string): LatchkeyError {
  return trouble('link_name_taken', `${name} is an interface of another kind (${kind}), and is left as it is`, {
    hint: `see: ip -details link show ${name}; remove it, or give the hub's interface another name`,
  });
}

export function programMissing(program: string): LatchkeyError {
  return trouble('link_missing', `${program} is not installed on this machine`, {
    hint: `install ${program === 'ip' ? 'iproute2' : program}`,
  });
}

export function noAnswer(program: string, cause: unknown): LatchkeyError {
  return new LatchkeyError('link_not_made', `${program} did not answer in time`, {
    status: 503,
    hint: `see: ${program} link`,
    cause,
  });
}

function trouble(
  code: string,
  message: string,
  more: { readonly hint: string; readonly stderr?: string },
): LatchkeyError {
  const { hint, stderr = '' } = more;
  return new LatchkeyError(code, message, {
    status: 503,
    hint,
    ...(stderr === '' ? {} : { extra: { stderr: stderr.slice(-2000) } }),
  });
}

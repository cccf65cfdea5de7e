import { isLatchkeyError, LatchkeyError } from '../../platform/errors.ts';
import { run } from '../../platform/run.ts';
import { EMPTY_INTERFACE, type PeerConfig } from '../config/wireguard-config.ts';
import { writeBareConfig, writePeers } from '../config/write-config.ts';
import type { Driver, WantedPeer } from './driver.ts';
import { parseDump } from './dump.ts';

export interface ToolOptions {
  /** `wg`, or `awg` for interfaces that are obfuscated. */
  readonly tool: 'wg' | 'awg';
  readonly interface: string;
  /** Words before the command, such as `ip netns exec NAME`. */
  readonly inside?: readonly string[];
  /** Deadline of one command, default 20 s. */
  readonly timeoutMs?: number;
}

/** wg and awg read secrets from files only, and a pipe of the shell's is one that they can open. */
const FROM_PIPE = 'cat | "$@" /dev/stdin';
/** Fewer than a command line can hold. */
const REMOVED_AT_ONCE = 500;

/** The command-line tool, which speaks to kernel and user space alike. */
export function toolDriver(options: ToolOptions): Driver {
  const { tool, interface: name, inside = [], timeoutMs = 20_000 } = options;
  const call = async (args: readonly string[], input?: string): Promise<string> => {
    const words = input === undefined ? [tool, ...args] : ['sh', '-c', FROM_PIPE, 'sh', tool, ...args];
    const [first = tool, ...rest] = [...inside, ...words];
    try {
      const result = await run([first, ...rest], {
        timeoutMs,
        maxBytes: 64 * 1024 * 1024,
        ...(input === undefined ? {} : { input }),
      });
      return result.stdout.toString('utf8');
    } catch (cause) {
      throw failure(tool, name, cause);
    }
  };
  return {
    name: tool,
    read: async () => parseDump(await call(['show', name, 'dump'])),
    apply: async ({ set, remove }) => {
      for (let at = 0; at < remove.length; at += REMOVED_AT_ONCE) {
        const keys = remove.slice(at, at + REMOVED_AT_ONCE);
        await call(['set', name, ...keys.flatMap((key) => ['peer', key, 'remove'])]);
      }
      if (set.length > 0) await call(['addconf', name], writePeers(set.map(peerConfig).map(clearing)));
    },
    replace: async ({ privateKey, listenPort, fwMark, obfuscation }, peers) => {
      const device = { ...EMPTY_INTERFACE, privateKey, listenPort, fwMark, obfuscation };
      await call(['setconf', name], writeBareConfig({ interface: device, peers: peers.map(peerConfig) }));
    },
  };
}

function peerConfig({ publicKey, presharedKey, allowedIPs, endpoint, keepalive }: WantedPeer): PeerConfig {
  return { publicKey, presharedKey, allowedIPs, endpoint, keepalive, others: [] };
}

/** A peer that is there already keeps its preshared key unless it is given another; the all-zero one is none. */
function clearing(peer: PeerConfig): PeerConfig {
  return { ...peer, presharedKey: peer.presharedKey ?? NO_KEY };
}

const NO_KEY = Buffer.alloc(32).toString('base64');

function failure(tool: string, name: string, cause: unknown): unknown {
  if (isLatchkeyError(cause, 'command_missing')) {
    return new LatchkeyError('driver_missing', `${tool} is not installed on this machine`, {
      status: 503,
      cause,
      hint: `install ${tool === 'awg' ? 'amneziawg-tools' : 'wireguard-tools'}`,
    });
  }
  if (isLatchkeyError(cause, 'command_timeout')) {
    return new LatchkeyError('interface_down', `${tool} did not answer in time`, { status: 503, cause });
  }
  if (!isLatchkeyError(cause, 'command_failed')) return cause;
  const stderr = String(cause.extra?.stderr ?? '');
  if (/No such device|Unable to access interface|Protocol not supported/.test(stderr)) {
    return new LatchkeyError('interface_down', `the interface ${name} is not there`, { status: 503, cause });
  }
  return new LatchkeyError('driver_failed', `${tool} refused what it was told about ${name}`, { cause });
}

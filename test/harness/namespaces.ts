import { generateKeyPairSync } from 'node:crypto';
import { accessSync, constants, existsSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createSecretFile } from '../../platform/files.ts';
import { run } from '../../platform/run.ts';
import { type Argv, BackgroundProcess } from './background-process.ts';
import type { Cleanup } from './cleanup.ts';
import type { Place } from './place.ts';
import { hasProgram } from './programs.ts';

/** Two network namespaces that reach each other by a WireGuard tunnel, over a wire (veth) that carries nothing else. */
export interface Tunnel {
  readonly keyServer: Place;
  readonly nextcloud: Place;
  /**
   * Builds a third machine on a wire of its own, which holds the Nextcloud's WireGuard key and address: to the key server
   * the tunnel looks the same, and its answers go to whichever of the two was heard last.
   */
  impostor(): Promise<Place>;
  /**
   * Has a machine make a new WireGuard session at once. It does so by itself when 15 s went by without an answer, as
   * happens to whoever lost the tunnel to another holder of its key.
   */
  renewSession(place: Place): Promise<void>;
  /** Takes the Nextcloud's wire away, or gives it back: a machine that was switched off, and started again. */
  setNextcloudOnline(online: boolean): Promise<void>;
  /** Bytes that have come out of the tunnel on the key server's side. */
  receivedBytes(): Promise<number>;
  /** Ends whatever still runs inside, by process id: programs that a test was waiting for when it was interrupted. */
  endProcesses(): Promise<void>;
}

interface End extends Place {
  readonly namespace: string;
  readonly wire: string;
  readonly wireAddress: string;
  readonly wireguard: string;
  readonly keys: { readonly private: string; readonly public: string };
}

/** Why no tunnel can be built here, or `null` when it can. */
export function tunnelObstacle(): string | null {
  if (process.platform !== 'linux') return 'network namespaces need Linux';
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
  } catch {
    return '/dev/net/tun is not there';
  }
  const missing = ['ip', 'nsenter', 'wg', 'wireguard-go'].filter((name) => !hasProgram(name));
  return missing.length === 0 ? null : `${missing.join(', ')} not installed`;
}

function wireguardKeys(): { private: string; public: string } {
  const { privateKey } = generateKeyPairSync('x25519');
  const jwk = privateKey.export({ format: 'jwk' });
  const base64 = (text: string | undefined): string => Buffer.from(text ?? '', 'base64url').toString('base64');
  return { private: base64(jwk.d), public: base64(jwk.x) };
}

function end(id: string, side: 'a' | 'b' | 'c', host: 1 | 2): End {
  const namespace = `lk${id}${side}`;
  return {
    namespace,
    wire: `lkv${id}${side}`,
    wireAddress: `10.203.71.${host}`,
    wireguard: `lkw${id}${side}`,
    address: `10.204.71.${host}`,
    keys: wireguardKeys(),
    // the key server judges interfaces by sysfs, which only "ip netns exec" shows as it is in there; that command makes a
    // mount namespace too, which would not see later mounts and so is not for the one whose code is swapped
    inside: (argv) =>
      side === 'a'
        ? ['ip', 'netns', 'exec', namespace, ...argv]
        : ['nsenter', `--net=/run/netns/${namespace}`, '--', ...argv],
  };
}

async function quietly(argv: Argv): Promise<string> {
  const result = await run(argv, { timeoutMs: 10_000 });
  return result.stdout.toString('utf8');
}

async function bringUp(own: End, other: End, cleanup: Cleanup): Promise<void> {
  const socket = `/var/run/wireguard/${own.wireguard}.sock`;
  cleanup.add(socket, () => rmSync(socket, { force: true }));
  const daemon = await BackgroundProcess.start(own.inside(['wireguard-go', '-f', own.wireguard]), {
    readyIf: () => existsSync(socket),
    env: { LOG_LEVEL: 'error' },
  });
  cleanup.add(own.wireguard, () => daemon.stop());
  const keyFile = join(tmpdir(), `${own.wireguard}.key`);
  createSecretFile(keyFile, `${own.keys.private}\n`); // "wg" opens its key by path, and Node's pipes cannot be opened so
  try {
    const peer = ['peer', other.keys.public, 'allowed-ips', `${other.address}/32`];
    const reach = ['endpoint', `${other.wireAddress}:51820`, 'persistent-keepalive', '5'];
    await quietly(['wg', 'set', own.wireguard, 'listen-port', '51820', 'private-key', keyFile, ...peer, ...reach]);
  } finally {
    rmSync(keyFile);
  }
  const ip: Argv = ['ip', '-n', own.namespace];
  await quietly([...ip, 'address', 'add', `${own.address}/24`, 'dev', own.wireguard]);
  await quietly([...ip, 'link', 'set', own.wireguard, 'up']);
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it has ended by itself meanwhile
  }
}

async function makeNamespace(namespace: string, cleanup: Cleanup): Promise<void> {
  await quietly(['ip', 'netns', 'add', namespace]);
  cleanup.add(namespace, () => quietly(['ip', 'netns', 'delete', namespace]).then(() => undefined));
  await quietly(['ip', '-n', namespace, 'link', 'set', 'lo', 'up']);
}

/** A wire between two namespaces, both ends with their addresses. */
async function layWire(one: End, other: End): Promise<void> {
  const far = ['type', 'veth', 'peer', 'name', other.wire, 'netns', other.namespace];
  await quietly(['ip', 'link', 'add', one.wire, 'netns', one.namespace, ...far]);
  for (const { namespace, wire, wireAddress } of [one, other]) {
    await quietly(['ip', '-n', namespace, 'address', 'add', `${wireAddress}/24`, 'dev', wire]);
    await quietly(['ip', '-n', namespace, 'link', 'set', wire, 'up']);
  }
}

let built = 0;

/** Builds both namespaces and waits for the first handshake; `cleanup` takes all of it away again. */
export async function buildTunnel(cleanup: Cleanup): Promise<Tunnel> {
  const id = `${process.pid}-${built++}`; // at most 15 characters with what is put around it
  const [keyServer, nextcloud] = [end(id, 'a', 1), end(id, 'b', 2)];
  for (const { namespace } of [keyServer, nextcloud]) await makeNamespace(namespace, cleanup);
  await layWire(keyServer, nextcloud);
  await bringUp(keyServer, nextcloud, cleanup);
  await bringUp(nextcloud, keyServer, cleanup);
  const show = async (what: string): Promise<number> => {
    const text = await quietly(['wg', 'show', keyServer.wireguard, what]);
    return Number(text.trim().split(/\s+/)[1] ?? Number.NaN);
  };
  for (let tries = 0; (await show('latest-handshakes')) === 0; tries++) {
    if (tries === 200) throw new Error('the WireGuard tunnel made no handshake within 10 s');
    await sleep(50);
  }
  const endProcesses = async (): Promise<void> => {
    for (const { namespace } of [nextcloud, keyServer]) {
      const inside = (await quietly(['ip', 'netns', 'pids', namespace])).split('\n').filter((line) => line !== '');
      for (const pid of inside.map(Number)) endProcess(pid);
    }
  };
  const impostor = async (): Promise<Place> => {
    const third: End = { ...end(id, 'c', 2), keys: nextcloud.keys, wireAddress: '10.203.72.2' };
    const toThird: End = { ...keyServer, wire: `${keyServer.wire}c`, wireAddress: '10.203.72.1' };
    await makeNamespace(third.namespace, cleanup);
    await layWire(toThird, third);
    await bringUp(third, toThird, cleanup);
    return third;
  };
  const setNextcloudOnline = async (online: boolean): Promise<void> => {
    await quietly(['ip', '-n', nextcloud.namespace, 'link', 'set', nextcloud.wire, online ? 'up' : 'down']);
  };
  const renewSession = async (place: Place): Promise<void> => {
    const { namespace, wireguard, wireAddress } = place as End;
    const server = wireAddress === '10.203.72.2' ? '10.203.72.1' : keyServer.wireAddress;
    const peer = ['peer', keyServer.keys.public];
    const inside = ['ip', 'netns', 'exec', namespace, 'wg', 'set', wireguard] as const;
    await quietly([...inside, ...peer, 'remove']);
    const reach = [
      'allowed-ips',
      `${keyServer.address}/32`,
      'endpoint',
      `${server}:51820`,
      'persistent-keepalive',
      '5',
    ];
    await quietly([...inside, ...peer, ...reach]);
  };
  return {
    keyServer,
    nextcloud,
    impostor,
    renewSession,
    setNextcloudOnline,
    receivedBytes: () => show('transfer'),
    endProcesses,
  };
}

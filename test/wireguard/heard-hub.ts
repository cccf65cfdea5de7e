import { vi } from 'vitest';
import type { MemoryDriver } from '../../wireguard/drivers/memory.ts';
import { HubWatch } from '../../wireguard/hub/hub-watch.ts';
import { generateKeyPair } from '../../wireguard/keys.ts';
import type { Platform } from '../../wireguard/store/schema.ts';
import { type HubReply, type HubWish, type RunningHub, startRunningHub } from './running-hub.ts';

/** A spoke that is to join by a token. */
export interface Joining {
  readonly platform?: Platform;
  readonly os?: string;
  readonly customIP?: string;
  readonly interface?: string;
  /** Of a Proxmox node. */
  readonly node?: string;
  readonly cluster?: string;
}

/** A running hub whose clock stands still but for a moment at each joining, and whose interfaces hear and see what a test says. Its token is `writer`. */
export interface HeardHub extends RunningHub {
  readonly driver: (name?: string) => MemoryDriver;
  readonly watch: (name?: string) => HubWatch;
  /** Sets the hub's clock, and has it look at its interfaces. */
  at(time: number): Promise<void>;
  /** As when a peer shakes hands at that time. */
  heard(publicKey: string, time: number, name?: string): void;
  /** Makes a token, fetches its script and registers; answers the registration. */
  join(name: string, joining?: Joining): Promise<HubReply>;
}

export async function startHeardHub(wish: HubWish = {}): Promise<HeardHub> {
  const started = vi.spyOn(HubWatch.prototype, 'start');
  const hub = await startRunningHub({
    ...wish,
    tokens: [{ name: 'writer', scopes: ['peers:read', 'peers:write'] }, ...(wish.tokens ?? [])],
    config: {
      lookSeconds: 60,
      publicUrl: 'https://hub.example',
      spokes: { tokensPerHour: 10_000, hours: 24, otherSource: 'record' },
      ...wish.config,
    },
  });
  const watches = new Map((started.mock.contexts as HubWatch[]).map((one) => [one.hub.facts.name, one]));
  started.mockRestore();
  let time = Date.now();
  hub.clock.now = () => time + hub.clock.skew;
  const watch = (name = 'wg0'): HubWatch => {
    const found = watches.get(name);
    if (found === undefined) throw new Error(`the test has no interface ${name}`);
    return found;
  };
  const driver = (name?: string): MemoryDriver => watch(name).hub.driver as MemoryDriver;
  const join = async (spokeName: string, joining: Joining = {}): Promise<HubReply> => {
    time += 1; // who joins later is listed later
    const { node, cluster, platform = node === undefined ? 'linux' : 'proxmox', os = platform, ...order } = joining;
    const made = await hub.request('POST', '/api/installation/token', {
      token: 'writer',
      body: { spokeName, platform, ...order },
    });
    if (made.status !== 201) return made;
    const { token } = made.body.token;
    const script = await hub.request('GET', `/api/installation/script/${token}?platform=${platform}`);
    if (script.status !== 200) return script;
    const { publicKey } = generateKeyPair();
    const proxmox =
      node === undefined
        ? {}
        : {
            ...{ isProxmox: true, proxmoxNodeName: node, proxmoxVersion: '9.1.6' },
            ...(cluster === undefined ? {} : { proxmoxClusterName: cluster }),
          };
    return hub.request('POST', '/api/spoke/register', { body: { token, publicKey, os, ...proxmox } });
  };
  return Object.assign(hub, {
    driver,
    watch,
    join,
    at: async (now: number) => {
      time = now - hub.clock.skew;
      for (const one of watches.values()) await one.look();
    },
    heard: (publicKey: string, at: number, name?: string) =>
      driver(name).heard(publicKey, { endpoint: '192.0.2.7:4242', lastHandshake: at, rx: 1000, tx: 500 }),
  });
}

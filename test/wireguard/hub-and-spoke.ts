import { networkFiles } from '../../wireguard/generate/network-files.ts';
import { generateKeyPair } from '../../wireguard/keys.ts';
import type { Cleanup } from '../harness/cleanup.ts';
import { bringUp, HubNetwork, type Machine } from '../harness/hub-network.ts';

/** Two machines that are to be joined by files of `wghub generate`. */
export interface HubAndSpoke {
  /** 10.67.0.1, and up. */
  readonly hub: Machine;
  /** 10.67.0.11, once its wg0 is brought up by `conf`. */
  readonly spoke: Machine;
  readonly conf: string;
}

export async function hubAndSpoke(cleanup: Cleanup): Promise<HubAndSpoke> {
  const network = await HubNetwork.build(cleanup);
  const hub = await network.machine('hub', 1);
  const spoke = await network.machine('spoke', 2);
  const order = {
    hub: `${hub.address}:51820`,
    spokes: ['a'],
    networks: ['10.67.0.0/24'],
    interface: 'wg0',
    keepalive: 1,
    preshared: true,
    obfuscation: {},
  };
  const files = networkFiles(order, generateKeyPair, () => generateKeyPair().privateKey);
  const text = (path: string): string => files.find((one) => one.path === path)?.text ?? '';
  await bringUp(hub, text('hub/wg0.conf'), cleanup);
  return { hub, spoke, conf: text('node-a/wg0.conf') };
}

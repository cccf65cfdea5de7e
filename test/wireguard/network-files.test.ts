import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { readConfig } from '../../wireguard/config/read-config.ts';
import { type NetworkOrder, networkFiles } from '../../wireguard/generate/network-files.ts';
import { generateKeyPair, generatePresharedKey, publicKeyOf } from '../../wireguard/keys.ts';

const ORDER: NetworkOrder = {
  hub: 'hub.example:51820',
  spokes: ['a', 'b', 'home-1'],
  networks: ['10.88.0.0/24', 'fd88::/64'],
  interface: 'wg0',
  keepalive: 25,
  preshared: true,
  obfuscation: {},
};
const make = (change: Partial<NetworkOrder> = {}) =>
  networkFiles({ ...ORDER, ...change }, generateKeyPair, () => generatePresharedKey(randomBytes));

describe('networkFiles()', () => {
  test.each([
    ['--hub', { hub: 'hub.example' }],
    ['--spokes', { spokes: [] }],
    ['--spokes', { spokes: ['a', 'a'] }],
    ['--spokes', { spokes: ['../a'] }],
    ['--spokes', { spokes: ['A'] }],
    ['--interface', { interface: 'a-name-that-is-too-long' }],
    ['--network', { networks: ['10.88.0.5/24'] }],
    ['--network', { networks: ['10.88.0.0/28'], spokes: ['a', 'b', 'c', 'd', 'e'] }],
    ['networkCIDR', { networks: ['10.88.0.0/31'] }],
  ] as [string, Partial<NetworkOrder>][])('refuses a wrong %s: %j', (field, change) => {
    expect(() => make(change)).toThrowError(expect.objectContaining({ field }));
  });

  test('makes a network whose ends know each other', () => {
    const files = new Map(make().map((file) => [file.path, file]));
    expect([...files.keys()]).toEqual([
      'hub/wg0.conf',
      'node-a/wg0.conf',
      'node-b/wg0.conf',
      'node-home-1/wg0.conf',
      'network.env',
    ]);
    const hub = readConfig(files.get('hub/wg0.conf')?.text ?? '');
    expect(hub.interface.addresses).toEqual(['10.88.0.1/24', 'fd88::1/64']);
    expect(hub.interface.listenPort).toBe(51820);
    for (const [at, name] of ORDER.spokes.entries()) {
      const node = readConfig(files.get(`node-${name}/wg0.conf`)?.text ?? '');
      const peer = hub.peers[at];
      expect(node.interface.addresses).toEqual([`10.88.0.${11 + at}/32`, `fd88::${(11 + at).toString(16)}/128`]);
      expect(publicKeyOf(node.interface.privateKey ?? '')).toBe(peer?.publicKey);
      expect(peer).toMatchObject({ allowedIPs: node.interface.addresses, presharedKey: node.peers[0]?.presharedKey });
      expect(node.peers).toMatchObject([
        {
          publicKey: publicKeyOf(hub.interface.privateKey ?? ''),
          endpoint: ORDER.hub,
          allowedIPs: ORDER.networks,
          keepalive: 25,
        },
      ]);
    }
  });

  test('puts no secret where it does not belong', () => {
    const files = make();
    const secrets = files.filter(({ secret }) => secret).map(({ text }) => readConfig(text).interface.privateKey ?? '');
    for (const { path, text } of files.filter(({ secret }) => !secret)) {
      for (const key of secrets) expect(text, path).not.toContain(key);
    }
    expect(files.at(-1)?.text).toContain('WG_NODE_HOME_1_ADDRESS=10.88.0.13,fd88::d\n');
  });
});

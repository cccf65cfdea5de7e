import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { readConfig } from '../../wireguard/config/read-config.ts';
import { type RunningHub, startRunningHub } from './running-hub.ts';

let hub: RunningHub;
beforeAll(async () => {
  hub = await startRunningHub({ tokens: [{ name: 'backend', scopes: ['devices'] }], config: { lookSeconds: 1 } });
});
afterAll(() => hub.stop());

test('two hundred devices made by fifty callers at once: no address twice, none lost, all on the interface', async () => {
  const made: { readonly ip: string; readonly ip6: string; readonly key: string; readonly privateKey: string }[] = [];
  const caller = async (_: unknown, at: number): Promise<void> => {
    for (let turn = 0; turn < 4; turn++) {
      const body = { user_id: `user ${at}`, device_name: `device ${turn}` };
      const answer = await hub.request('POST', '/api/create-peer', { token: 'backend', body });
      expect(answer).toMatchObject({ status: 201, body: { live: true } });
      const { assigned_ip: ip, assigned_ip6: ip6, public_key: key, config } = answer.body;
      made.push({ ip, ip6, key, privateKey: readConfig(config).interface.privateKey ?? '' });
    }
  };
  await Promise.all(Array.from({ length: 50 }, caller));
  for (const field of ['ip', 'ip6', 'key', 'privateKey'] as const) {
    expect(new Set(made.map((one) => one[field])).size).toBe(200);
  }
  const info = await hub.request('GET', '/api/server-info', { token: 'backend' });
  expect(info.body.free_addresses).toBe(53);

  const keys = new Set(made.map(({ key }) => key));
  // told from the last look at the interface
  await vi.waitFor(
    async () => {
      const { peers } = (await hub.request('GET', '/api/list-peers', { token: 'backend' })).body;
      const onInterface = peers.filter((peer: { allowed_ips: string[] }) => peer.allowed_ips.length === 2);
      expect(new Set(onInterface.map((peer: { public_key: string }) => peer.public_key))).toEqual(keys);
    },
    { timeout: 25_000, interval: 500 },
  );
  const events = (await hub.audit()).filter(({ event }) => event === 'peer_created');
  expect(new Set(events.map(({ detail }) => detail.public_key)).size).toBe(200);
}, 60_000);

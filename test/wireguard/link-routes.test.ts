import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../../platform/run.ts';
import { RouteKeeper } from '../../wireguard/hub/route-keeper.ts';
import { settleRoutes } from '../../wireguard/links/link-routes.ts';
import { tunnelObstacle } from '../harness/namespaces.ts';

describe.skipIf(tunnelObstacle() !== null)('routes to networks behind peers', () => {
  const namespace = `lkr${process.pid}`;
  const inside = ['ip', 'netns', 'exec', namespace];
  const ip = async (...args: string[]): Promise<string> =>
    (await run(['ip', '-n', namespace, ...args], { timeoutMs: 5000 })).stdout.toString('utf8');
  const settle = (...networks: string[]) => settleRoutes('tun0', networks, inside);
  const routes = async () => (await ip('-4', 'route')) + (await ip('-6', 'route', 'show', 'scope', 'global'));

  beforeAll(async () => {
    await run(['ip', 'netns', 'add', namespace], { timeoutMs: 5000 });
    for (const [name, address] of [
      ['tun0', '10.77.0.1/24'],
      ['lan0', '192.168.1.2/24'],
    ] as const) {
      await ip('link', 'add', name, 'type', 'veth', 'peer', 'name', `${name}-end`);
      await ip('address', 'add', address, 'dev', name);
      for (const end of [name, `${name}-end`]) await ip('link', 'set', end, 'up');
    }
    await ip('route', 'add', '198.51.100.0/24', 'dev', 'tun0');
  });
  afterAll(() => run(['ip', 'netns', 'delete', namespace], { timeoutMs: 5000 }));

  test('come and go with the networks, and those of others stay', async () => {
    const before = await routes();
    await settle('192.168.7.0/24', '192.168.9.5/32', 'fd09::/48');
    const there = await routes();
    for (const part of ['192.168.7.0/24 dev tun0', '192.168.9.5 dev tun0', 'fd09::/48 dev tun0', '198.51.100.0/24']) {
      expect(there).toContain(part);
    }
    await settle('fd09::/48', '192.168.9.5/32', '192.168.7.0/24');
    expect(await routes()).toBe(there);
    await settle('192.168.9.5/32');
    expect(await routes()).not.toContain('192.168.7.0');
    await settle();
    expect(await routes()).toBe(before);
  });

  test('never take the place of a network that is at hand', async () => {
    await settle('192.168.1.0/24');
    expect(await ip('route', 'get', '192.168.1.9')).toContain('dev lan0');
    await settle();
    expect(await ip('route', 'get', '192.168.1.9')).toContain('dev lan0');
  });

  test('that are refused are told of, after all others were made', async () => {
    await ip('link', 'set', 'tun0', 'down');
    await expect(settle('192.168.7.0/24', '192.168.8.0/24')).rejects.toMatchObject({
      code: 'route_refused',
      message: expect.stringContaining('192.168.7.0/24, 192.168.8.0/24'),
    });
    await ip('link', 'set', 'tun0', 'up');
    await settle('192.168.7.0/24', '192.168.8.0/24');
    expect(await routes()).toContain('192.168.8.0/24 dev tun0');
  });
});

describe('RouteKeeper', () => {
  const made = () => {
    const seen = { networks: ['a'] as string[], settled: [] as string[], fails: false, troubles: 0 };
    const keeper = new RouteKeeper({
      networks: async () => seen.networks,
      settle: async (networks) => {
        if (seen.fails) throw new Error('refused');
        seen.settled.push(networks.join());
      },
      onTrouble: () => {
        seen.troubles++;
      },
    });
    return { seen, keeper };
  };

  test('acts when the networks are other ones, and when it has to be sure', async () => {
    const { seen, keeper } = made();
    await keeper.follow();
    await keeper.follow();
    expect(seen.settled).toEqual(['a']);
    seen.networks = [];
    await keeper.follow();
    await keeper.follow();
    await keeper.mend();
    expect(seen).toMatchObject({ settled: ['a', '', ''], troubles: 0 });
  });

  test('tells of a failure without failing, and tries again at the next change', async () => {
    const { seen, keeper } = made();
    seen.fails = true;
    await keeper.follow();
    expect(seen).toMatchObject({ settled: [], troubles: 1 });
    seen.fails = false;
    await keeper.follow();
    expect(seen).toMatchObject({ settled: ['a'], troubles: 1 });
  });
});

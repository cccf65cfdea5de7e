import { describe, expect, test } from 'vitest';
import { atOnce } from '../../platform/in-turns.ts';
import { expositionSteps, type Family } from '../../wireguard/calls/exposition.ts';
import { InterfaceTraffic } from '../../wireguard/calls/interface-traffic.ts';
import { HubMetrics } from '../../wireguard/calls/metrics.ts';
import type { LiveInterface } from '../../wireguard/drivers/driver.ts';
import { sqlitePlace } from './hub-store.ts';
import { testScrape } from './scrape-contract.ts';

const text = (families: readonly Family[]): string => atOnce(expositionSteps(families));

describe('the text', () => {
  const family = { name: 'm', help: 'What.', type: 'gauge' } as const;

  test('has a metric with its samples, one a line', () => {
    const samples = [[{ a: '1', b: 'x' }, 2] as const, [{}, 0.5] as const];
    expect(text([{ ...family, samples }])).toBe('# HELP m What.\n# TYPE m gauge\nm{a="1",b="x"} 2\nm 0.5\n');
  });

  test('lets no label and no help end early', () => {
    const samples = [[{ a: 'x"} 9\nm{a="\\' }, 1] as const];
    expect(text([{ ...family, help: 'One\n# TYPE \\', samples }])).toBe(
      '# HELP m One\\n# TYPE \\\\\n# TYPE m gauge\nm{a="x\\"} 9\\nm{a=\\"\\\\"} 1\n',
    );
  });

  test.each([
    [Number.POSITIVE_INFINITY, '+Inf'],
    [Number.NEGATIVE_INFINITY, '-Inf'],
    [Number.NaN, 'NaN'],
    [2 ** 53, '9007199254740992'],
    [1e21, '1e+21'],
  ])('writes %d as %s', (value, written) => {
    expect(text([{ ...family, samples: [[{}, value]] }])).toContain(`m ${written}\n`);
  });

  test('is interrupted every few lines', () => {
    const samples = Array.from({ length: 1000 }, (_, index) => [{ index: String(index) }, index] as const);
    expect([...expositionSteps([{ ...family, samples }])]).toHaveLength(20);
    expect(text([{ ...family, samples }]).match(/^m\{/gm)).toHaveLength(1000);
  });
});

describe('the traffic of an interface', () => {
  const live = (peers: Record<string, [rx: number, tx: number]>): LiveInterface =>
    ({
      peers: new Map(Object.entries(peers).map(([key, [rx, tx]]) => [key, { rx, tx }])),
    }) as unknown as LiveInterface;
  const moved = (...looks: (LiveInterface | null)[]): [number, number] => {
    const traffic = new InterfaceTraffic();
    for (const look of looks) atOnce(traffic.steps(look));
    return [traffic.rx, traffic.tx];
  };

  test('begins at zero, whatever was moved before', () => {
    expect(moved(live({ a: [1000, 2000] }))).toEqual([0, 0]);
    expect(moved(live({ a: [1000, 2000] }), live({ a: [1010, 2020] }))).toEqual([10, 20]);
  });

  test('grows by what newcomers moved, and does not fall with those who leave', () => {
    const [first, second] = [live({ a: [100, 100], b: [50, 50] }), live({ b: [51, 52], c: [5, 6] })];
    expect(moved(first, second)).toEqual([6, 8]);
    expect(moved(first, second, live({}))).toEqual([6, 8]);
  });

  test('goes on where an interface began anew', () => {
    expect(moved(live({ a: [100, 100] }), live({ a: [7, 8] }))).toEqual([7, 8]);
  });

  test('does not change while the interface is down, or was not looked at again', () => {
    const [first, second] = [live({ a: [1, 1] }), live({ a: [3, 4] })];
    expect(moved(first, null, second, second)).toEqual([2, 3]);
  });
});

describe('with a store', () => testScrape(sqlitePlace));

describe('what a hub counts', () => {
  const asked = { method: 'GET', route: '/api/x', status: 200, millis: 3 };

  test('tokens and spokes are there before the first one, and are counted by platform', async () => {
    const metrics = new HubMetrics();
    const before = await metrics.text();
    expect(before).toContain('\nwireguard_tokens_generated_total 0\n');
    expect(before).toContain('wireguard_spokes_registered_total{platform="macos"} 0\n');
    metrics.tokenMade();
    metrics.spokeRegistered('macos');
    metrics.spokeRegistered('macos');
    const after = await metrics.text();
    expect(after).toContain('\nwireguard_tokens_generated_total 1\n');
    expect(after).toContain('wireguard_spokes_registered_total{platform="macos"} 2\n');
    expect(after).toContain('wireguard_spokes_registered_total{platform="proxmox"} 0\n');
  });

  test('strangers are a counter of zero from the first comparison on', async () => {
    const metrics = new HubMetrics();
    metrics.compared('wg0', { outcome: 'settled', changed: 0, foreign: [] }, 12);
    expect(await metrics.text()).toContain('wireguard_foreign_peers_found_total{interface="wg0"} 0\n');
    metrics.foundForeign('wg0', 2);
    expect(await metrics.text()).toContain('wireguard_foreign_peers_found_total{interface="wg0"} 2\n');
  });

  test.each([
    ['a method that is not known', { ...asked, method: 'PROPFIND', status: 404 }],
    ['a method that is not for this route', { ...asked, method: 'DELETE', status: 405 }],
    ['a path that is not known', { ...asked, route: null, status: 404 }],
  ])('%s is counted as "other"', async (_, answer) => {
    const metrics = new HubMetrics();
    metrics.answered(answer);
    const found = await metrics.text();
    expect(found).toContain(`duration_seconds_count{method="other",route="${answer.route ?? 'none'}",status="`);
    expect(found).not.toContain(answer.method);
  });

  test('an answer is counted by method, route and status', async () => {
    const metrics = new HubMetrics();
    metrics.answered(asked);
    const labels = 'method="GET",route="/api/x",status="200"';
    const found = await metrics.text();
    expect(found).toContain(`wireguard_api_request_duration_seconds_count{${labels}} 1\n`);
    expect(found).toContain(`wireguard_api_request_duration_seconds_bucket{le="0.0025",${labels}} 0\n`);
    expect(found).toContain(`wireguard_api_request_duration_seconds_bucket{le="0.005",${labels}} 1\n`);
  });
});

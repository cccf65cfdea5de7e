import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { certificateFamilies } from '../../wireguard/calls/hub-figures.ts';
import { addInitCommand } from '../../wireguard/commands/init.ts';
import { readConfig } from '../../wireguard/data/hub-config.ts';
import { generateKeyPair } from '../../wireguard/keys.ts';
import { hasProgram } from '../harness/programs.ts';
import { promtool } from '../harness/prometheus.ts';
import { runHubCommand } from './command-runner.ts';
import { dashboard, monitoringFile } from './monitoring-files.ts';
import { type RunningHub, startRunningHub } from './running-hub.ts';

// A hub as monitoring sees it: first a spoke on its way from an invitation to a peer; each test goes on where the one before has ended.
let hub: RunningHub;
let token: string;

beforeAll(async () => {
  hub = await startRunningHub({
    tokens: [{ name: 'admin', scopes: ['peers:read', 'peers:write', 'metrics:read'] }],
    config: { lookSeconds: 1 },
  });
});
afterAll(() => hub.stop());

async function figures(): Promise<string[]> {
  const { text } = await hub.request('GET', '/api/metrics', { token: 'admin' });
  const wanted =
    /^wireguard_(tokens_generated_total|spokes_registered_total\{platform="(linux|macos)"\}|tokens_open|spokes_total|spokes\{.*"(pending|active|inactive)"|pool_free_addresses)/;
  return text
    .split('\n')
    .filter((line) => wanted.test(line))
    .map((line) => line.replace('wireguard_', '').replace('interface="wg0",', '').replace('{interface="wg0"}', ''))
    .sort();
}
const shown = (tokens: number, registered: number, unfetched: number, fetched: number, status: string | null) => [
  `pool_free_addresses ${tokens === 0 ? 253 : 252}`,
  `spokes_registered_total{platform="linux"} ${registered}`,
  'spokes_registered_total{platform="macos"} 0',
  `spokes_total ${status === null ? 0 : 1}`,
  ...['active', 'inactive', 'pending'].map((one) => `spokes{status="${one}"} ${status === one ? 1 : 0}`),
  `tokens_generated_total ${tokens}`,
  `tokens_open{state="fetched"} ${fetched}`,
  `tokens_open{state="unfetched"} ${unfetched}`,
];

test('nothing is there before the first invitation, and every line is', async () => {
  expect(await figures()).toEqual(shown(0, 0, 0, 0, null));
});

test('a token keeps an address and is open, from when it is made', async () => {
  const made = await hub.request('POST', '/api/installation/token', { token: 'admin', body: { spokeName: 'office' } });
  expect(made.status).toBe(201);
  token = made.body.token.token;
  expect(await figures()).toEqual(shown(1, 0, 1, 0, null));
});

test('a refused order is no token', async () => {
  const { status } = await hub.request('POST', '/api/installation/token', { token: 'admin', body: { spokeName: '' } });
  expect(status).toBe(400);
  expect(await figures()).toEqual(shown(1, 0, 1, 0, null));
});

test('a script that was fetched is told apart', async () => {
  expect((await hub.request('GET', `/api/installation/script/${token}?platform=linux`)).status).toBe(200);
  expect(await figures()).toEqual(shown(1, 0, 0, 1, null));
});

test('a spoke that registers is counted by the platform of its script, and its token is over', async () => {
  const register = () => {
    const { publicKey } = generateKeyPair();
    return hub.request('POST', '/api/spoke/register', { body: { token, publicKey, os: 'Debian 12' } });
  };
  expect((await register()).status).toBe(201);
  expect(await figures()).toEqual(shown(1, 1, 0, 0, 'pending'));
  expect((await register()).status).toBe(410);
  expect(await figures()).toEqual(shown(1, 1, 0, 0, 'pending'));
});

test('its status goes by its handshakes', async () => {
  const heard = (at: number) =>
    hub.data.store.transaction((tx) => tx.updateTable('peer').set({ last_handshake: at }).execute());
  await heard(Date.now());
  await expect.poll(figures, { timeout: 10_000 }).toEqual(shown(1, 1, 0, 0, 'active'));
  await heard(Date.now() - 6 * 60_000);
  await expect.poll(figures, { timeout: 10_000 }).toEqual(shown(1, 1, 0, 0, 'inactive'));
});

test('no token and no key is in the metrics', async () => {
  const { text } = await hub.request('GET', '/api/metrics', { token: 'admin' });
  expect(text).toContain('route="/api/installation/script/:token"');
  for (const secret of [token, hub.token('admin')]) expect(text).not.toContain(secret);
});

test.skipIf(!hasProgram('promtool'))(
  'promtool finds nothing to say against the metrics, whatever peers are called',
  async () => {
    const names = ['"} 9', '\\', '\\n{}', '# TYPE x', 'Анна’s 📱', 'wireguard_peers{} 1', '"', 'a\\"b', 'NaN'];
    for (const name of names) {
      const { status } = await hub.request('POST', '/api/peers', { token: 'admin', body: { name } });
      expect([name, status]).toEqual([name, 201]);
    }
    await hub.request('GET', '/api/nothing');
    await hub.request('DELETE', '/api/health');
    const { text } = await hub.request('GET', '/api/metrics', { token: 'admin' });
    expect(text.match(/^wireguard_peer_last_handshake_seconds\{/gm)).toHaveLength(names.length + 1);
    expect(text).toMatch(/^nodejs_eventloop_lag_seconds_count \d+$/m);
    expect(await promtool(['check', 'metrics'], text)).toBe('');
    expect(await promtool(['check', 'metrics'], `${text}# TYPE x_total gauge\nx_total 1\n`)).toContain('x_total');
  },
);

test('every metric that a rule or the dashboard names is one that a hub has', async () => {
  const { text } = await hub.request('GET', '/api/metrics', { token: 'admin' });
  const rules = monitoringFile('rules.yml');
  const there = new Set(
    [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].flatMap(([, name = '', type]) =>
      type === 'histogram' ? [`${name}_bucket`, `${name}_count`, `${name}_sum`] : [name],
    ),
  );
  // the one that a hub with TLS alone has
  for (const { name } of certificateFamilies(0)) there.add(name);
  for (const [, record = ''] of rules.matchAll(/^ +- record: (\S+)$/gm)) there.add(record);
  const expressions = [...dashboard().panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)), rules];
  const named = expressions.flatMap(
    (text) => text.match(/\b(?:\w+:)?(?:wireguard|nodejs|process)_\w+(?::\w+)?/g) ?? [],
  );
  expect(new Set(named).size).toBeGreaterThan(25);
  expect([...new Set(named)].filter((name) => !there.has(name))).toEqual([]);
});

describe('init', () => {
  const folder = mkdtempSync(join(tmpdir(), 'lk-monitoring-init-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  let number = 0;
  async function init(...options: string[]) {
    number += 1;
    const data = join(folder, `hub${number}`);
    const where = ['--data', data, '--keyfile', join(folder, `key${number}`), '--endpoint', 'hub.example:51820'];
    return { data, ...(await runHubCommand(addInitCommand, ['init', ...where, '--driver', 'memory', ...options])) };
  }

  test('init says for how many peers there are figures of each alone, 200 unless told', async () => {
    expect(readConfig((await init()).data).metrics).toEqual({ from: [], peers: 200 });
    const told = await init('--metrics-peers', '0', '--metrics-from', '10.0.1.0/24');
    expect(readConfig(told.data).metrics).toEqual({ from: ['10.0.1.0/24'], peers: 0 });
    expect(readConfig((await init('--metrics-peers', '10000')).data).metrics.peers).toBe(10_000);
  });

  test.each(['-1', '10001', 'all', '2.5', '0x10', ''])(
    'init refuses --metrics-peers %j and makes nothing',
    async (count) => {
      const { data, exit, stderr } = await init(`--metrics-peers=${count}`);
      expect(exit).toBe(2);
      expect(stderr).toContain('"--metrics-peers"');
      expect(existsSync(data)).toBe(false);
    },
  );
});

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { hasProgram } from '../harness/programs.ts';
import { TestPrometheus } from '../harness/prometheus.ts';
import { dashboardQueries, hastyRules, prometheusConfig } from './monitoring-files.ts';
import { type RunningHub, startRunningHub } from './running-hub.ts';

vi.setConfig({ testTimeout: 120_000 });

// A real Prometheus reads a hub with a token, by the files that are shipped; each test goes on where the one before has ended.
describe.skipIf(!hasProgram('prometheus'))('a prometheus that scrapes a hub', () => {
  const folder = mkdtempSync(join(tmpdir(), 'lk-prometheus-'));
  let hub: RunningHub;
  let prometheus: TestPrometheus;
  let spokes: string[];

  beforeAll(async () => {
    hub = await startRunningHub({
      tokens: [
        { name: 'prometheus', scopes: ['metrics:read'] },
        { name: 'admin', scopes: ['peers:read', 'peers:write'] },
      ],
      interface: { networks: ['10.0.1.0/29'], addresses: ['10.0.1.1/29'] },
      config: { lookSeconds: 1, metrics: { from: [], peers: 3 } },
    });
    spokes = [];
    for (const name of ['berlin', 'lyon', 'oslo', 'rome', 'riga']) spokes.push((await add(name)).body.peer.id);
    await add('one too many');
    await heard(Date.now());
    prometheus = await TestPrometheus.start(folder, {
      'prometheus.yml': prometheusConfig(`127.0.0.1:${hub.port}`, join(folder, 'token')),
      'rules.yml': hastyRules(),
      token: `${hub.token('prometheus')}\n`,
    });
  });
  afterAll(async () => {
    await prometheus?.stop();
    rmSync(folder, { recursive: true });
  });

  const add = (name: string) => hub.request('POST', '/api/peers', { token: 'admin', body: { name, kind: 'spoke' } });
  /** As when every spoke has shaken hands at that time; the hub's next look finds it. */
  const heard = (at: number) =>
    hub.data.store.transaction((tx) =>
      tx.updateTable('peer').set({ last_handshake: at }).where('status', '<>', 'deleted').execute(),
    );
  const firing = async () => (await prometheus.alerts()).filter(({ state }) => state === 'firing');
  const names = async () => [...new Set((await firing()).map(({ labels }) => labels.alertname))].sort();
  const patience = { timeout: 50_000, interval: 250 };

  test('is let in by its token, and its rules take up what it reads', async () => {
    const up = async () => (await prometheus.query('up{job="wghub"}')).map(({ value }) => value[1]);
    await expect.poll(up, patience).toEqual(['1']);
    expect(await prometheus.scrapeErrors()).toEqual(['']);
    await add('one too many'); // the first one was before the first scrape, which nobody saw grow
    const full = ['WireguardApiErrors', 'WireguardBackupOld', 'WireguardPoolExhausted', 'WireguardPoolNearlyExhausted'];
    await expect.poll(names, patience).toEqual([...full, 'WireguardSpokesWithoutFigures']);
  });

  test('fires the alerts for spokes that are silent, by name and together', async () => {
    await heard(Date.now() - 20 * 60_000);
    const silent = ['WireguardManySpokesInactive', 'WireguardSpokeSilent', 'WireguardSpokesInactive'];
    await expect.poll(names, patience).toEqual(expect.arrayContaining(silent));
    const named = (await firing()).filter(({ labels }) => labels.alertname === 'WireguardSpokeSilent');
    // three have figures of their own, and it is the oldest three
    expect(named.map(({ labels }) => labels.name).sort()).toEqual(['berlin', 'lyon', 'oslo']);
    const berlin = named.find(({ labels }) => labels.name === 'berlin');
    expect(berlin?.labels).toMatchObject({ id: spokes[0], interface: 'wg0', severity: 'warning', job: 'wghub' });
    expect(berlin?.annotations.summary).toMatch(/^spoke berlin was not heard for 20m \d+s$/);
  });

  test('has texts for all of them in which nothing is missing', async () => {
    const texts = (await firing()).flatMap(({ annotations }) => Object.values(annotations));
    expect(texts.length).toBeGreaterThan(10);
    for (const text of texts) expect(text).not.toMatch(/<no value>|<error|\{\{|NaN|Inf/);
  });

  test('has data for every query of the dashboard', async () => {
    const backup = { sha256: 'ab', made_at: Date.now(), size: 1, file: 'f', sealed_with: 'age' } as const;
    await hub.data.store.transaction((tx) => tx.insertInto('backup').values(backup).execute());
    const made = await hub.request('GET', '/api/peers', { token: 'admin' });
    expect(made.status).toBe(200);
    await expect.poll(names, patience).not.toContain('WireguardBackupOld');
    const values = { instance: `127.0.0.1:${hub.port}`, interface: '.*', __rate_interval: '1m' };
    const queries = dashboardQueries(values);
    expect(queries.length).toBeGreaterThan(35);
    const empty: string[] = [];
    for (const { panel, query } of queries) {
      const result = await prometheus.query(query).catch((error: Error) => {
        throw new Error(`${panel}: ${error.message}`);
      });
      if (result.length === 0) empty.push(`${panel}: ${query}`);
    }
    expect(empty).toEqual([]);
  });

  test('resolves them when the spokes are heard again and there is room', async () => {
    await heard(Date.now());
    await hub.request('DELETE', `/api/peers/${spokes[4]}`, { token: 'admin' });
    // what failed within five minutes counts for so long
    const left = ['WireguardApiErrors', 'WireguardSpokesWithoutFigures'];
    await expect.poll(names, patience).toEqual(left);
  });

  test('fires when its token is no longer good, and when the hub is gone', async () => {
    await hub.data.store.transaction((tx) => tx.deleteFrom('api_token').where('name', '=', 'prometheus').execute());
    await expect.poll(names, patience).toContain('WireguardHubDown');
    expect((await prometheus.scrapeErrors())[0]).toContain('401');
    await hub.stop();
    await expect.poll(() => prometheus.scrapeErrors(), patience).toEqual([expect.stringContaining('refused')]);
    // what it told in its last moments is gone, but for what was counted within five minutes
    expect(await names()).toEqual(['WireguardApiErrors', 'WireguardHubDown']);
  });
});

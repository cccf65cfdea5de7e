import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { run } from '../../platform/run.ts';
import { certificateFamilies } from '../../wireguard/calls/hub-figures.ts';
import { hasProgram } from '../harness/programs.ts';
import { dashboard, monitoringFile, monitoringFolder, prometheusConfig } from './monitoring-files.ts';
import { startRunningHub } from './running-hub.ts';

const rules = monitoringFile('rules.yml');
const alerts = [...rules.matchAll(/^ +- alert: (\w+)$/gm)].map((match) => match[1] ?? '');
const records = [...rules.matchAll(/^ +- record: (\S+)$/gm)].map((match) => match[1] ?? '');
const parts = (name: string): string => rules.split(`- alert: ${name}\n`)[1]?.split('- alert: ')[0] ?? '';

const folder = mkdtempSync(join(tmpdir(), 'lk-monitoring-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** What promtool says against it; `''` for nothing. */
async function promtool(argv: readonly string[], input = ''): Promise<string> {
  const { exit, stdout, stderr } = await run(['promtool', ...argv], { timeoutMs: 60_000, allowExit: 'any', input });
  return exit === 0 ? '' : `exit ${exit}\n${stdout}${stderr}`;
}

describe.skipIf(!hasProgram('promtool'))('promtool', () => {
  test('takes the example of a configuration, with the rules', async () => {
    const token = join(folder, 'token');
    writeFileSync(token, 'lkt_x\n', { mode: 0o600 });
    writeFileSync(join(folder, 'rules.yml'), rules);
    const config = join(folder, 'prometheus.yml');
    writeFileSync(config, prometheusConfig('127.0.0.1:1', token));
    expect(await promtool(['check', 'config', '--lint=all', '--lint-fatal', config])).toBe('');
    rmSync(token);
    expect(await promtool(['check', 'config', config])).toContain('bearer token file');
  });

  test('sees each alert fire, and not a moment before nor just short of it', async () => {
    expect(await promtool(['test', 'rules', join(monitoringFolder, 'rules.test.yml')])).toBe('');
  });

  test('finds nothing to say against the metrics of a hub, whatever its peers are called', async () => {
    const scopes = ['peers:write', 'metrics:read'] as const;
    const hub = await startRunningHub({ tokens: [{ name: 'all', scopes }] });
    const names = ['"} 9', '\\', '\\n{}', '# TYPE x', 'Анна’s 📱', 'wireguard_peers{} 1', '"', 'a\\"b', 'NaN'];
    for (const name of names) {
      const { status } = await hub.request('POST', '/api/peers', { token: 'all', body: { name } });
      expect([name, status]).toEqual([name, 201]);
    }
    await hub.request('GET', '/api/nothing');
    await hub.request('DELETE', '/api/health');
    const { text } = await hub.request('GET', '/api/metrics', { token: 'all' });
    await hub.stop();
    expect(text.match(/^wireguard_peer_last_handshake_seconds\{/gm)).toHaveLength(names.length);
    expect(text).toMatch(/^nodejs_eventloop_lag_seconds_count \d+$/m);
    expect(await promtool(['check', 'metrics'], text)).toBe('');
    expect(await promtool(['check', 'metrics'], `${text}# TYPE x_total gauge\nx_total 1\n`)).toContain('x_total');
  });
});

test('every alert is tried in a case where it fires and in one where it does not', () => {
  const tried = monitoringFile('rules.test.yml').split(/(?= +- expr: )/);
  expect(alerts.length).toBeGreaterThan(10);
  for (const name of alerts) {
    const own = tried.filter((part) => part.includes(`alertname="${name}"`));
    expect([name, own.some((part) => part.includes('exp_samples: []'))]).toEqual([name, true]);
    expect([name, own.some((part) => /labels: '\{.*value: 1/.test(part))]).toEqual([name, true]);
  }
});

test.each(alerts)('%s has a severity, and says what happened and what to do', (name) => {
  const part = parts(name);
  expect(part).toMatch(/^ {10}severity: (critical|warning|info)$/m);
  expect(part).toMatch(/^ {10}summary: "?\S.{10,140}$/m);
  expect(part).toMatch(/^ {10}description: >-\n {12}\S/m);
});

test.each(alerts)('%s is told of in the README', (name) => {
  expect(monitoringFile('../README.md').includes(`\`${name}\``)).toBe(true);
});

test('every metric that a rule or the dashboard names is one that a hub has', async () => {
  const hub = await startRunningHub({ config: { metrics: { from: ['127.0.0.0/8'], peers: 200 } } });
  await hub.request('GET', '/api/metrics');
  const { text } = await hub.request('GET', '/api/metrics');
  await hub.stop();
  const there = new Set(
    [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].flatMap(([, name = '', type]) =>
      type === 'histogram' ? [`${name}_bucket`, `${name}_count`, `${name}_sum`] : [name],
    ),
  );
  // the one that a hub with TLS alone has
  for (const { name } of certificateFamilies(0)) there.add(name);
  for (const record of records) there.add(record);
  const expressions = [...dashboard().panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)), rules];
  const named = expressions.flatMap(
    (text) => text.match(/\b(?:\w+:)?(?:wireguard|nodejs|process)_\w+(?::\w+)?/g) ?? [],
  );
  expect(new Set(named).size).toBeGreaterThan(25);
  expect([...new Set(named)].filter((name) => !there.has(name))).toEqual([]);
});

describe('the dashboard', () => {
  const { panels, templating, schemaVersion, uid } = dashboard();

  test('can be imported: it has a uid, a schema, and its data source is a variable', () => {
    expect(uid).toBe('latchkey-hub');
    expect(schemaVersion).toBeGreaterThanOrEqual(36);
    expect(templating.list[0]).toMatchObject({ name: 'datasource', type: 'datasource', query: 'prometheus' });
    const own = panels.filter(({ type }) => type !== 'row');
    expect(own.length).toBeGreaterThan(20);
    // biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana's own way to name a variable
    for (const { datasource } of own) expect(datasource).toEqual({ type: 'prometheus', uid: '${datasource}' });
  });

  test('has panels with ids and titles of their own', () => {
    const unique = (of: (panel: (typeof panels)[number]) => unknown): void =>
      expect(new Set(panels.map(of)).size).toBe(panels.length);
    unique(({ id }) => id);
    unique(({ title }) => title);
  });

  test('has no panel on another or beside the grid, and no hole between them', () => {
    const taken = new Map<string, string>();
    for (const { title, gridPos } of panels) {
      const { x, y, w, h } = gridPos;
      expect([title, x >= 0 && w > 0 && x + w <= 24 && h > 0]).toEqual([title, true]);
      for (let column = x; column < x + w; column++) {
        for (let line = y; line < y + h; line++) {
          expect([title, taken.get(`${column},${line}`)]).toEqual([title, undefined]);
          taken.set(`${column},${line}`, title);
        }
      }
    }
    const lines = Math.max(...panels.map(({ gridPos: { y, h } }) => y + h));
    expect(taken.size).toBe(lines * 24);
  });

  test('has a unit, thresholds in order, and queries for each panel', () => {
    for (const { title, type, fieldConfig, targets = [] } of panels) {
      if (type === 'row') continue;
      expect([title, fieldConfig?.defaults.unit]).toEqual([title, expect.stringMatching(/^\w+$/)]);
      const [base, ...steps] = fieldConfig?.defaults.thresholds.steps.map(({ value }) => value) ?? [];
      expect([title, base]).toEqual([title, null]);
      expect(steps).toEqual([...steps].sort((a, b) => Number(a) - Number(b)));
      expect([title, targets.length > 0]).toEqual([title, true]);
      expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length);
    }
  });
});

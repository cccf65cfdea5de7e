import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { hasProgram } from '../harness/programs.ts';
import { promtool } from '../harness/prometheus.ts';
import { dashboard, monitoringFile, monitoringFolder, prometheusConfig } from './monitoring-files.ts';

const rules = monitoringFile('rules.yml');
const alerts = [...rules.matchAll(/^ +- alert: (\w+)$/gm)].map((match) => match[1] ?? '');
const parts = (name: string): string => rules.split(`- alert: ${name}\n`)[1]?.split('- alert: ')[0] ?? '';

const folder = mkdtempSync(join(tmpdir(), 'lk-monitoring-'));
afterAll(() => rmSync(folder, { recursive: true }));

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

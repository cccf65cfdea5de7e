import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

/** Where the files for monitoring are. */
export const monitoringFolder = resolve(import.meta.dirname, '../../wireguard/monitoring');

export function monitoringFile(name: string): string {
  return readFileSync(resolve(monitoringFolder, name), 'utf8');
}

/** The example for Prometheus, for another hub; the copy is scraped each second. */
export function prometheusConfig(target: string, tokenFile: string): string {
  return changed(monitoringFile('prometheus.yml'), [
    [/(scrape|evaluation)_interval: 15s/g, '$1_interval: 1s'],
    [/- 10\.0\.1\.1:8090/g, `- ${target}`],
    [/\/etc\/prometheus\/wghub\.token/g, tokenFile],
  ]);
}

/** The rules, with no change but that alerts need not hold for long. */
export function hastyRules(): string {
  return changed(monitoringFile('rules.yml'), [[/^( +for: )\d+[mh]$/gm, '$11s']]);
}

function changed(text: string, changes: readonly (readonly [RegExp, string])[]): string {
  return changes.reduce((before, [pattern, by]) => {
    const after = before.replace(pattern, by);
    if (after === before) throw new Error(`there is nothing like ${pattern} to change`);
    return after;
  }, text);
}

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly datasource?: { readonly type: string; readonly uid: string };
  readonly fieldConfig?: {
    readonly defaults: { readonly unit: string; readonly thresholds: { readonly steps: { value: number | null }[] } };
  };
  readonly targets?: readonly { readonly refId: string; readonly expr: string }[];
}

export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly schemaVersion: number;
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly type: string; readonly definition?: string }[];
  };
  readonly panels: readonly Panel[];
}

export function dashboard(): Dashboard {
  return JSON.parse(monitoringFile('grafana.json')) as Dashboard;
}

/** The queries of the dashboard by panel, with its variables as Grafana would put them in. */
export function dashboardQueries(
  values: Readonly<Record<string, string>>,
): { readonly panel: string; readonly query: string }[] {
  return dashboard().panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => ({ panel: title, query: withVariables(expr, values) })),
  );
}

function withVariables(query: string, values: Readonly<Record<string, string>>): string {
  return query.replace(/\$(\w+)/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`the dashboard has no variable ${name}`);
    return value;
  });
}

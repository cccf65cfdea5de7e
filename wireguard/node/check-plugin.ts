import type { CheckFinding, CheckLevel } from './check-topic.ts';

/** What a plugin of Nagios or Icinga ends with (Monitoring Plugins Development Guidelines). */
export const PLUGIN_EXIT = { ok: 0, warning: 1, critical: 2, unknown: 3 } as const;

export interface PluginAnswer {
  readonly exit: 0 | 1 | 2;
  /** One line, with the ages of handshakes as performance data. */
  readonly line: string;
}

const ORDER: readonly CheckLevel[] = ['critical', 'warning', 'ok'];

/** Pure: the worst of what was found is what it says and ends with. */
export function pluginAnswer(
  findings: readonly CheckFinding[],
  { warning, critical }: { readonly warning: number; readonly critical: number },
): PluginAnswer {
  const worst = ORDER.find((level) => findings.some((one) => one.level === level)) ?? 'ok';
  const told = worst === 'ok' ? findings : findings.filter(({ level }) => level !== 'ok');
  const said = [...told].sort((a, b) => ORDER.indexOf(a.level) - ORDER.indexOf(b.level)).map((one) => one.said);
  const aged = findings.filter(({ age }) => age !== undefined);
  const data = aged.map(({ subject, age }) => {
    const label = aged.length === 1 ? 'handshake' : quoted(`handshake ${subject}`);
    return `${label}=${age === null ? 'U' : `${age}s`};${warning};${critical}`;
  });
  const line = `${worst.toUpperCase()}: ${said.join(', ')}`.replaceAll('|', '/');
  return { exit: PLUGIN_EXIT[worst], line: data.length === 0 ? line : `${line} |${data.join(' ')}` };
}

/** A label with spaces is quoted, and holds neither a quote nor an equals sign (a key ends in one). */
function quoted(label: string): string {
  return `'${label.replaceAll(/[='|]/g, '')}'`;
}

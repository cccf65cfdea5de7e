/** One metric with its samples, as Prometheus reads it. */
export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'untyped';
  readonly samples: readonly Sample[];
}

export type Sample = readonly [labels: Labels, value: number];
export type Labels = Readonly<Record<string, string>>;

/** Lines that are put together at once. */
const LINES = 50;

/** The text of metrics (exposition format 0.0.4), put together in small steps: there may be tens of thousands of lines. */
export function* expositionSteps(families: readonly Family[]): Generator<undefined, string> {
  const parts: string[] = [];
  for (const { name, help, type, samples } of families) {
    parts.push(`# HELP ${name} ${escaped(help)}\n# TYPE ${name} ${type}\n`);
    for (let at = 0; at < samples.length; at += LINES) {
      parts.push(
        samples
          .slice(at, at + LINES)
          .map((sample) => line(name, sample))
          .join(''),
      );
      yield;
    }
  }
  return parts.join('');
}

function line(name: string, [labels, value]: Sample): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text).replaceAll('"', '\\"')}"`);
  return `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${number(value)}\n`;
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function number(value: number): string {
  if (Number.isFinite(value) || Number.isNaN(value)) return String(value);
  return value > 0 ? '+Inf' : '-Inf';
}

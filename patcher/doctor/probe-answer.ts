import { LatchkeyError } from '../../platform/errors.ts';
import type { RunResult, Transport } from '../transports/transport.ts';

/** One thing a probe saw. Probes print such records and nothing else: names, counts, line numbers; never what a file holds. */
export interface Seen {
  readonly kind: string;
  readonly value: string;
  readonly path: string;
}

/** What every probe begins with. `rec KIND VALUE PATH` prints a record; `within` bounds a command by `$seconds`. */
export const PROBE_START = `
LC_ALL=C; TZ=UTC0; export LC_ALL TZ; umask 077; set -u
rec() { printf '%s\\0%s\\0%s\\0' "$1" "$2" "$3"; }
if command -v timeout >/dev/null 2>&1; then within() { timeout "$seconds" "$@"; }; else within() { "$@"; }; fi
seconds=60
`;

/** Runs a constant script; what it looks for comes as positional parameters. */
export async function runProbe(
  transport: Transport,
  script: string,
  values: readonly string[],
  timeoutMs = 120_000,
): Promise<Seen[]> {
  const result = await transport.run(['sh', '-c', script, 'sh', ...values], { timeoutMs });
  if (result.exit !== 0) {
    throw new LatchkeyError('probe_failed', `a look at the server ended with exit code ${result.exit}`, {
      extra: { stderr: result.stderr.slice(-2000) },
    });
  }
  return parseSeen(result);
}

function parseSeen({ stdout }: Pick<RunResult, 'stdout'>): Seen[] {
  const fields = stdout.toString('utf8').split('\0');
  if (fields.pop() !== '' || fields.length % 3 !== 0) {
    throw new LatchkeyError('target_answer', 'the target answered in a form that is not understood');
  }
  const seen: Seen[] = [];
  for (let at = 0; at < fields.length; at += 3) {
    seen.push({ kind: fields[at] ?? '', value: fields[at + 1] ?? '', path: fields[at + 2] ?? '' });
  }
  return seen;
}

/** Digits as a number; null for anything else. */
export function count(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : null;
}

/** The value of the one record of a kind; null when there is none. */
export function recorded(seen: readonly Seen[], kind: string): string | null {
  return seen.find((one) => one.kind === kind)?.value ?? null;
}

import * as z from 'zod';
import { summaryOf } from './summary.ts';

/** How it went on one host. */
export interface HostResult {
  readonly host: string;
  /**
   * `ok`; `found`: carried out, and something is not as it should be; `failed`; `refused`: it would be unsafe; `late`: ended at
   * its deadline, what it had begun is settled by the next run.
   */
  readonly outcome: 'ok' | 'found' | 'failed' | 'refused' | 'late';
  /** Exit code of the command; null when it was ended. */
  readonly exit: number | null;
  readonly what: string;
  readonly ms: number;
  /** What the command printed with `--json`, `{error: …}` included; null when that is no JSON. */
  readonly result: unknown;
}

/** A command on one host has ended by itself, or was ended. */
export type Ending =
  | { readonly exit: number; readonly stdout: string }
  | { readonly late: true; readonly afterMs: number };

const refusal = z.object({ error: z.object({ code: z.string(), message: z.string() }) });

/** Pure: what an ending means. */
export function judgeEnding(host: string, command: string, ending: Ending, ms: number): HostResult {
  if ('late' in ending) {
    const what = `ended after ${ending.afterMs / 1000} s; run it again, which settles what it had begun`;
    return { host, outcome: 'late', exit: null, what, ms, result: null };
  }
  const { exit } = ending;
  const result = readJson(ending.stdout);
  const error = refusal.safeParse(result);
  if (error.success) {
    const { code, message } = error.data.error;
    return { host, outcome: exit === 3 ? 'refused' : 'failed', exit, what: `${message} (${code})`, ms, result };
  }
  if (result === null || exit > 1) {
    return { host, outcome: 'failed', exit, what: `ended with exit code ${exit} and without a report`, ms, result };
  }
  return { host, outcome: exit === 0 ? 'ok' : 'found', exit, what: summaryOf(command, result), ms, result };
}

/** 0 when all went well, 3 when every host was refused, so that nothing was done anywhere, and 1 otherwise. */
export function exitOf(results: readonly HostResult[]): 0 | 1 | 3 {
  if (results.every(({ outcome }) => outcome === 'ok')) return 0;
  return results.every(({ outcome }) => outcome === 'refused') ? 3 : 1;
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

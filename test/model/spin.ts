import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../platform/run.ts';
import { hasProgram } from '../harness/programs.ts';

export const modelFile = join(import.meta.dirname, 'chain.pml');

/** Why spin cannot be used here, or `null`. */
export const obstacle = ((): string | null => {
  const missing = ['spin', 'gcc'].filter((name) => !hasProgram(name));
  return missing.length === 0 ? null : `${missing.join(' and ')} not installed`;
})();

/** What a search through all states came to. */
export interface Search {
  /** Name of the claim that broke; `null` when all held in every state there is. */
  readonly broken: string | null;
  readonly states: number;
  /** Lines of the model's processes that were never run; only told of a search without a broken claim. */
  readonly unreached: readonly number[];
}

export interface SearchOptions {
  /** True for a search that ends soon: the compiler then takes less time, the checker more. */
  readonly brief?: boolean;
  /** Steps a run may have. */
  readonly depth?: number;
  /** MiB. */
  readonly memory?: number;
}

const minute = 60_000;
const incomplete = /max search depth too small|search not completed|out of memory|reached -DMEMLIM|hash table.*full/i;

/**
 * Builds the checker for the model under these defines (`COPY`, `LINKS=4`, …) and searches all of it. Throws when spin or
 * the compiler does, and when the search was cut short without having found anything: that would prove nothing.
 */
export async function search(defines: readonly string[], options: SearchOptions = {}): Promise<Search> {
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-spin-'));
  try {
    const flags = defines.map((define) => `-D${define}`);
    await run(['spin', '-a', ...flags, modelFile], { cwd: folder, timeoutMs: minute });
    const build = [options.brief === true ? '-O0' : '-O1', '-w', '-DSAFETY', `-DMEMLIM=${options.memory ?? 1024}`];
    await run(['gcc', ...build, '-o', 'pan', 'pan.c'], { cwd: folder, timeoutMs: minute });
    const pan = await run([join(folder, 'pan'), `-m${options.depth ?? 10_000}`, '-w20'], {
      cwd: folder,
      timeoutMs: 3 * minute,
      allowExit: 'any',
    });
    return readReport(pan.stdout.toString('utf8') + pan.stderr);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Reads what pan prints. Throws for a search that is not complete and found nothing, and for what is no report. */
export function readReport(report: string): Search {
  const broken = /assertion violated (.+) \(at depth \d+\)/.exec(report)?.[1] ?? null;
  const errors = /, errors: (\d+)$/m.exec(report)?.[1];
  const states = /^\s*(\d+) states, stored$/m.exec(report)?.[1];
  if (broken === null && incomplete.test(report)) throw new Error(`the search was cut short:\n${report}`);
  if (errors === undefined || states === undefined) throw new Error(`pan gave no report:\n${report}`);
  if ((errors === '0') !== (broken === null)) throw new Error(`pan stopped at something else:\n${report}`);
  const unreached = [...report.matchAll(/chain\.pml:(\d+), state \d+, "(?!-end-)/g)].map((match) => Number(match[1]));
  return { broken, states: Number(states), unreached };
}

/** What the model prints when it is run once under these defines, line by line. */
export async function print(defines: readonly string[]): Promise<string[]> {
  const flags = defines.map((define) => `-D${define}`);
  const { stdout } = await run(['spin', ...flags, modelFile], { cwd: tmpdir(), timeoutMs: minute });
  return stdout
    .toString('utf8')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

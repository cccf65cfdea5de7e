import type { HookPatch } from './hook-definition.ts';

/** Where a patch fits: the line (from 0) of its first context line, and how many context lines differ there. */
export interface Place {
  readonly line: number;
  readonly mismatches: number;
}

/** Every place where all essential lines are to the letter, and at most `mismatches` of the other context lines differ. */
export function placesFor(lines: readonly string[], patch: HookPatch, mismatches: number): Place[] {
  const places: Place[] = [];
  for (let line = 0; line + patch.context.length <= lines.length; line++) {
    let differ = 0;
    for (let i = 0; i < patch.context.length && differ <= mismatches; i++) {
      if (lines[line + i] === patch.context[i]) continue;
      differ += patch.essential[i] === true ? mismatches + 1 : 1;
    }
    if (differ <= mismatches) places.push({ line, mismatches: differ });
  }
  return places;
}

/** The place most like the context, for a person to look at: how alike from 0 to 1, and which lines differ. */
export interface Candidate {
  /** Line number as editors count, from 1. */
  readonly line: number;
  readonly likeness: number;
  readonly differing: readonly { readonly line: number; readonly wanted: string; readonly found: string }[];
}

/** The most alike window of the file; `null` when nothing is alike at all. */
export function nearestPlace(lines: readonly string[], patch: HookPatch): Candidate | null {
  const words = lines.map(wordsOf);
  const wanted = patch.context.map(wordsOf);
  let best = { line: -1, score: 0 };
  for (let line = 0; line < lines.length; line++) {
    const score = wanted.reduce((sum, one, i) => sum + likeness(one, words[line + i]), 0);
    if (score > best.score) best = { line, score };
  }
  if (best.line < 0) return null;
  return {
    line: best.line + 1,
    likeness: Math.round((best.score / wanted.filter(({ size }) => size > 0).length) * 100) / 100,
    differing: patch.context.flatMap((one, i) => {
      const found = lines[best.line + i] ?? '';
      return found === one ? [] : [{ line: best.line + i + 1, wanted: one.trim(), found: found.trim() }];
    }),
  };
}

function wordsOf(line: string): ReadonlySet<string> {
  return new Set(line.match(/\w+|[^\s\w]/g) ?? []);
}

/** Words in common to words in all (Jaccard); empty lines say nothing. */
function likeness(a: ReadonlySet<string>, b: ReadonlySet<string> | undefined): number {
  if (b === undefined || a.size === 0 || b.size === 0) return 0;
  let common = 0;
  for (const word of a) if (b.has(word)) common++;
  return common / (a.size + b.size - common);
}

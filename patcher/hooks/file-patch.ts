import { createHash } from 'node:crypto';
import { applyPatch, type StructuredPatch } from 'diff';
import { LatchkeyError } from '../../platform/errors.ts';
import { type HookDefinition, type HookPatch, isMarked, patchesFor } from './hook-definition.ts';
import { type Candidate, nearestPlace, type Place, placesFor } from './hunk-place.ts';

/**
 * Pure: the file with the hook in it. The context must be found exactly once, with no more differences than the hook
 * allows and none in its essential lines. Throws (exit 3) `hook_place_moved`, `hook_place_ambiguous`, `hook_file_form`, or
 * `hook_present` when a hook of ours is in it already.
 */
export function patchFile(hook: HookDefinition, data: Buffer, major: number): Buffer {
  const text = textOf(hook, data);
  const lines = text.split('\n');
  if (lines.some((line) => isMarked(line, hook.begin) || isMarked(line, hook.end))) {
    throw new LatchkeyError('hook_present', `${hook.file} holds a hook of ours already`, { exit: 3 });
  }
  for (const patch of patchesFor(hook, major)) {
    const places = placesFor(lines, patch, hook.mismatches);
    if (places.length > 1) throw ambiguous(hook, places);
    const [place] = places;
    if (place !== undefined) return Buffer.from(applied(text, lines, patch, place));
  }
  throw moved(hook, lines, major);
}

/** The library looks for the nearest place that fits and takes it; it is given the one place, with the lines that are there. */
function applied(text: string, lines: readonly string[], patch: HookPatch, place: Place): string {
  const { added, context, lead } = patch;
  const found = lines.slice(place.line, place.line + context.length).map((line) => ` ${line}`);
  const structured: StructuredPatch = {
    oldFileName: 'a',
    newFileName: 'b',
    oldHeader: undefined,
    newHeader: undefined,
    hunks: [
      {
        oldStart: place.line + 1,
        oldLines: context.length,
        newStart: place.line + 1,
        newLines: context.length + added.length,
        lines: [...found.slice(0, lead), ...added.map((line) => `+${line}`), ...found.slice(lead)],
      },
    ],
  };
  const result = applyPatch(text, structured, { fuzzFactor: 0, autoConvertLineEndings: false });
  if (result === false) throw new TypeError('a patch made of the lines of the file must fit');
  return result;
}

/**
 * Pure: the file without whatever of ours is in it, of this or an older ncpatch; `null` when there is nothing of ours, or
 * not in a form that can be taken out. What comes out is only worth something when its hash is the one the vendor signed.
 */
export function unpatchFile(hook: HookDefinition, data: Buffer): Buffer | null {
  let lines: string[];
  try {
    lines = textOf(hook, data).split('\n');
  } catch {
    return null;
  }
  const [begin, ...moreBegins] = indexesOf(lines, hook.begin);
  const [end, ...moreEnds] = indexesOf(lines, hook.end);
  if (begin === undefined || end === undefined || end < begin) return null;
  if (moreBegins.length + moreEnds.length > 0) return null;
  return Buffer.from([...lines.slice(0, begin), ...lines.slice(end + 1)].join('\n'));
}

/**
 * Pure: true only for exactly what the vendor signed plus exactly what this hook adds, at the place where it belongs.
 * `signedHash` is the SHA-512 of the file in the vendor's signed list.
 */
export function isOurPatch(hook: HookDefinition, data: Buffer, signedHash: string): boolean {
  const original = unpatchFile(hook, data);
  if (original === null || sha512(original) !== signedHash) return false;
  return hook.patches.some((patch) => {
    try {
      return patchFile({ ...hook, patches: [patch] }, original, patch.from).equals(data);
    } catch {
      return false;
    }
  });
}

export function sha512(data: Buffer): string {
  return createHash('sha512').update(data).digest('hex');
}

function indexesOf(lines: readonly string[], mark: string): number[] {
  return lines.flatMap((line, i) => (isMarked(line, mark) ? [i] : []));
}

/** Text that comes out byte for byte as it went in. */
function textOf(hook: HookDefinition, data: Buffer): string {
  const text = data.toString('utf8');
  const form = text.includes('\r')
    ? 'has line endings of Windows'
    : text.includes('\0') || !Buffer.from(text).equals(data)
      ? 'is not text'
      : null;
  if (form === null) return text;
  throw new LatchkeyError('hook_file_form', `${hook.file} ${form}, which the vendor's does not`, {
    exit: 3,
    hint: 'put back the file of the release',
  });
}

function ambiguous(hook: HookDefinition, places: readonly Place[]): LatchkeyError {
  const at = places.map(({ line }) => line + 1).join(' and ');
  return new LatchkeyError('hook_place_ambiguous', `${hook.looksFor} was found more than once in ${hook.file}`, {
    exit: 3,
    hint: `at lines ${at}; which one is meant cannot be told: use --hook app`,
  });
}

function moved(hook: HookDefinition, lines: readonly string[], major: number): LatchkeyError {
  const found = patchesFor(hook, major).map((patch) => ({ patch, nearest: nearestPlace(lines, patch) }));
  const best = found.reduce((a, b) => ((b.nearest?.likeness ?? 0) > (a.nearest?.likeness ?? 0) ? b : a));
  const diff = `patcher/hooks/${hook.name}/${best.patch.diff}`;
  return new LatchkeyError('hook_place_moved', `${hook.file} does not hold ${hook.looksFor} as it was known`, {
    exit: 3,
    hint: `${nearWords(best.nearest)}; use --hook app until ${diff} fits this Nextcloud`,
    extra: { looksFor: best.patch.context, nearest: best.nearest },
  });
}

function nearWords(nearest: Candidate | null): string {
  if (nearest === null) return 'nothing in it is alike';
  const [first] = nearest.differing;
  const difference =
    first === undefined
      ? ''
      : `; line ${first.line} is ${JSON.stringify(first.found)}, not ${JSON.stringify(first.wanted)}`;
  return `the nearest is at line ${nearest.line}, ${Math.round(nearest.likeness * 100)} % alike${difference}`;
}

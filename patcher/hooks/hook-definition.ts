import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parsePatch } from 'diff';
import * as z from 'zod';
import { LatchkeyError } from '../../platform/errors.ts';
import { parseInput } from '../../platform/schema.ts';

/** Where each hook that changes a file of Nextcloud has a folder of its own: `manifest.json` and its diffs. */
const HOOKS_FOLDER = import.meta.dirname;

const major = z.int().min(1).max(999);
const manifestSchema = z.strictObject({
  name: z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'must be a short lower-case name'),
  description: z.string().min(1).max(500),
  /** Below Nextcloud's root. */
  file: z.string().regex(/^(?!\/)(?!.*(^|\/)\.{1,2}(\/|$))[\w./-]{1,200}$/, 'must be a plain relative path'),
  /** The place in words, for whoever has to find where it went. */
  looksFor: z.string().min(1).max(200),
  /** What the first and the last added line begin with, so that the change is found again whatever is between. */
  begin: z.string().min(8).max(100),
  end: z.string().min(8).max(100),
  /** Context lines (without their indentation) that must be there to the letter. */
  essential: z.array(z.string().min(1).max(500)).min(1),
  /** How many of the other context lines may differ. */
  mismatches: z.int().min(0).max(5),
  patches: z
    .array(
      z.strictObject({
        diff: z.string().regex(/^[\w-]+\.diff$/, 'must be the name of a file beside the manifest'),
        nextcloud: z.strictObject({ from: major, to: major.nullable() }),
      }),
    )
    .min(1),
});

/** One diff: the lines it expects, and those it puts behind the first `lead` of them. */
export interface HookPatch {
  readonly diff: string;
  readonly from: number;
  /** `null`: all majors from there on. */
  readonly to: number | null;
  readonly context: readonly string[];
  readonly added: readonly string[];
  readonly lead: number;
  /** One for each line of `context`. */
  readonly essential: readonly boolean[];
}

export interface HookDefinition {
  readonly name: string;
  readonly description: string;
  readonly file: string;
  readonly looksFor: string;
  readonly begin: string;
  readonly end: string;
  readonly mismatches: number;
  readonly patches: readonly HookPatch[];
}

/** Reads `<folder>/<name>`; throws `hook_unreadable` when it is not a hook that can be applied safely. */
export async function readHook(name: string, folder: string = HOOKS_FOLDER): Promise<HookDefinition> {
  const place = join(folder, name);
  const manifest = parseManifest(await text(join(place, 'manifest.json')), name);
  const { patches, essential, ...rest } = manifest;
  return {
    ...rest,
    patches: await Promise.all(
      patches.map(async ({ diff, nextcloud }) => ({
        ...parseHookDiff(await text(join(place, diff)), { ...rest, diff, essential }),
        diff,
        ...nextcloud,
      })),
    ),
  };
}

async function text(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new LatchkeyError('hook_unreadable', `${path} cannot be read`, { cause });
  }
}

/** Pure. */
export function parseManifest(json: string, name: string): z.infer<typeof manifestSchema> {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw unreadable(name, 'manifest.json is not JSON', cause);
  }
  try {
    const manifest = parseInput(manifestSchema, value);
    if (manifest.name === name) return manifest;
  } catch (cause) {
    throw unreadable(name, `manifest.json: ${(cause as Error).message}`, cause);
  }
  throw unreadable(name, `manifest.json: "name" must be "${name}"`);
}

/** Pure: a diff of one hunk that only adds, in one stretch, between the markers of the manifest. */
export function parseHookDiff(
  diff: string,
  wanted: Pick<HookDefinition, 'name' | 'begin' | 'end'> & { diff: string; essential: readonly string[] },
): Pick<HookPatch, 'context' | 'added' | 'lead' | 'essential'> {
  const refuse = (words: string, cause?: unknown): LatchkeyError =>
    unreadable(wanted.name, `${wanted.diff} ${words}`, cause);
  if (diff.includes('\r')) throw refuse('has line endings of Windows');
  let lines: readonly string[];
  try {
    const [file, ...otherFiles] = parsePatch(diff);
    const [hunk, ...otherHunks] = file?.hunks ?? [];
    if (hunk === undefined || otherFiles.length > 0 || otherHunks.length > 0)
      throw refuse('must hold exactly one hunk');
    lines = hunk.lines;
  } catch (cause) {
    throw cause instanceof LatchkeyError ? cause : refuse('is not a unified diff', cause);
  }
  const kinds = lines.map((line) => line.slice(0, 1) || ' ').join('');
  if (!/^ +\++ *$/.test(kinds)) throw refuse('must only add lines, in one stretch, after some context');
  const context = lines.filter((line) => !line.startsWith('+')).map((line) => line.slice(1));
  const added = lines.filter((line) => line.startsWith('+')).map((line) => line.slice(1));
  const lead = kinds.indexOf('+');
  const marked = added.filter((line) => isMarked(line, wanted.begin) || isMarked(line, wanted.end));
  if (marked.length !== 2 || !isMarked(added[0], wanted.begin) || !isMarked(added.at(-1), wanted.end)) {
    throw refuse('must begin and end what it adds with the marks of the manifest');
  }
  const essential = context.map((line) => wanted.essential.includes(line.trimStart()));
  const missing = wanted.essential.find((line) => !context.some((one) => one.trimStart() === line));
  if (missing !== undefined) throw refuse(`does not hold the essential line "${missing}"`);
  if (essential[lead - 1] !== true) throw refuse('must add right after an essential line');
  return { context, added, lead, essential };
}

/** Whether a line carries a mark, which stands at its beginning. */
export function isMarked(line: string | undefined, mark: string): boolean {
  return line?.trimStart().startsWith(mark) === true;
}

/** Patches for a version of Nextcloud, the one made for it first; the others may still fit. */
export function patchesFor(hook: HookDefinition, major: number): readonly HookPatch[] {
  const fits = (patch: HookPatch): boolean => major >= patch.from && (patch.to === null || major <= patch.to);
  return [...hook.patches.filter(fits), ...hook.patches.filter((patch) => !fits(patch))];
}

function unreadable(name: string, words: string, cause?: unknown): LatchkeyError {
  return new LatchkeyError('hook_unreadable', `the hook "${name}" cannot be used: ${words}`, { cause });
}

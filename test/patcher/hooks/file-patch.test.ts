import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { isOurPatch, patchFile, sha512, unpatchFile } from '../../../patcher/hooks/file-patch.ts';
import { type HookDefinition, readHook } from '../../../patcher/hooks/hook-definition.ts';
import { isLatchkeyError } from '../../../platform/errors.ts';
import { listTrees } from '../../harness/nextcloud-tree.ts';

const trees = listTrees();
let hook: HookDefinition;
let context: readonly string[];

beforeAll(async () => {
  hook = await readHook('core');
  context = hook.patches[1]?.context ?? [];
});

function refusalOf(work: () => unknown): { code: string; message: string; hint: string } {
  try {
    work();
  } catch (error) {
    if (isLatchkeyError(error)) return { code: error.code, message: error.message, hint: error.hint ?? '' };
    throw error;
  }
  throw new Error('it was not refused');
}

function file(...parts: readonly (string | readonly string[])[]): Buffer {
  return Buffer.from(parts.flat().join('\n'));
}

/** Lines that are neither the context nor marks of ours. */
const otherLines = fc
  .array(
    fc.oneof(
      fc.string({ maxLength: 40 }),
      fc.constantFrom('\t\t});', '', '\t\t\treturn new Encryption\\Keys\\Storage(', 'ä€😀'),
    ),
    { maxLength: 60 },
  )
  .map((lines) => lines.map((line) => line.replace(/[\r\n\0]/g, ' ').replace('// latchkey', '')));

describe('patchFile()', () => {
  it('refuses a file in which the place is not, and names the nearest', () => {
    const changed = context.map((line) => line.replace('Encryption\\Keys\\Storage', 'KeyStorage'));
    const refusal = refusalOf(() => patchFile(hook, file('<?php', '', changed), 36));
    expect(refusal.code).toBe('hook_place_moved');
    expect(refusal.hint).toMatch(/^the nearest is at line 3, 9\d % alike; line 12 is "return new KeyStorage\(", not/);
  });

  it('refuses a file that is like nothing it knows', () => {
    expect(refusalOf(() => patchFile(hook, Buffer.from('\n\n'), 33)).hint).toMatch(/^nothing in it is alike/);
  });

  it('refuses a place that is there twice, also when the second is only like it', () => {
    const like = context.map((line) => line.replace('$view = new View();', '$view = new Other();'));
    for (const second of [context, like]) {
      const refusal = refusalOf(() => patchFile(hook, file(context, 'between', second), 33));
      expect(refusal.code).toBe('hook_place_ambiguous');
      expect(refusal.hint).toContain('at lines 1 and 21');
    }
  });

  it.each(['begin', 'end'] as const)('refuses a file that holds its %s mark already', (mark) => {
    const refusal = refusalOf(() => patchFile(hook, file(context, `\t${hook[mark]} of another`), 33));
    expect(refusal.code).toBe('hook_present');
  });

  it('refuses line endings of Windows, and what is not text', () => {
    for (const data of [Buffer.from(context.join('\r\n')), file(context, 'a\0b'), Buffer.from([0x61, 0xff, 0x0a])]) {
      expect(refusalOf(() => patchFile(hook, data, 33)).code).toBe('hook_file_form');
    }
  });

  it('refuses a difference in any essential line, however small', () => {
    const essential = (hook.patches[1]?.essential ?? []).flatMap((is, i) => (is ? [i] : []));
    expect(essential.length).toBeGreaterThanOrEqual(3);
    for (const at of essential) {
      const changed = context.map((line, i) => (i === at ? `${line} ` : line));
      expect(refusalOf(() => patchFile(hook, file(changed), 33)).code).toBe('hook_place_moved');
    }
  });

  it('takes as many other differences as the manifest allows, and not one more', () => {
    const other = (hook.patches[1]?.essential ?? []).flatMap((is, i) => (is ? [] : [i]));
    fc.assert(
      fc.property(fc.shuffledSubarray(other, { minLength: 1, maxLength: 8 }), (chosen) => {
        const data = file(context.map((line, i) => (chosen.includes(i) ? `${line}// other` : line)));
        if (chosen.length <= hook.mismatches) expect(unpatchFile(hook, patchFile(hook, data, 33))).toEqual(data);
        else expect(refusalOf(() => patchFile(hook, data, 33)).code).toBe('hook_place_moved');
      }),
    );
  });

  it('and unpatchFile() give back every byte, wherever the place is', () => {
    fc.assert(
      fc.property(otherLines, otherLines, fc.constantFrom(28, 31, 33, 99), (before, after, major) => {
        const data = file(before, context, after);
        const patched = patchFile(hook, data, major);
        expect(patched.length).toBeGreaterThan(data.length);
        expect(unpatchFile(hook, patched)).toEqual(data);
        expect(isOurPatch(hook, patched, sha512(data))).toBe(true);
      }),
    );
  });
});

describe('isOurPatch()', () => {
  it('is false for the slightest change anywhere', () => {
    const data = file('<?php', context, 'end', '');
    const patched = patchFile(hook, data, 33);
    fc.assert(
      fc.property(fc.nat(patched.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const other = Buffer.from(patched);
        other[at] = (other[at] ?? 0) ^ change;
        expect(isOurPatch(hook, other, sha512(data))).toBe(false);
      }),
    );
  });

  it('is false for our lines at another place, twice, or with more between the marks', () => {
    const data = file('<?php', context, 'end', '');
    const added = hook.patches[1]?.added ?? [];
    const more = [...added.slice(0, -1), 'system($_GET["x"]);', ...added.slice(-1)];
    for (const lines of [
      ['<?php', ...added, ...context, 'end', ''],
      ['<?php', ...context.slice(0, 16), ...added, ...added, ...context.slice(16), 'end', ''],
      ['<?php', ...context.slice(0, 16), ...more, ...context.slice(16), 'end', ''],
    ]) {
      expect(isOurPatch(hook, file(lines), sha512(data))).toBe(false);
    }
  });

  it('is false for the file of the vendor, and where the signed hash is another', () => {
    const data = file(context);
    expect(isOurPatch(hook, data, sha512(data))).toBe(false);
    expect(isOurPatch(hook, patchFile(hook, data, 33), sha512(file(context, 'x')))).toBe(false);
  });
});

describe('unpatchFile()', () => {
  it('takes out what an older ncpatch put there', () => {
    expect(unpatchFile(hook, file('a', `\t${hook.begin}: older`, 'other code', `\t${hook.end}`, 'b'))).toEqual(
      file('a', 'b'),
    );
  });

  it('answers null where the marks are not a pair', () => {
    for (const lines of [[hook.begin], [hook.end, hook.begin], [hook.begin, hook.begin, hook.end], ['nothing']]) {
      expect(unpatchFile(hook, file(lines))).toBeNull();
    }
  });
});

describe.each(trees)('on Nextcloud $version', (tree) => {
  const data = readFileSync(join(tree.folder, 'lib/private/Server.php'));
  const major = Number(tree.version.split('.')[0]);

  it('the patch fits exactly, in one place, and comes out again', () => {
    const exact = { ...hook, mismatches: 0 };
    const patched = patchFile(exact, data, major);
    expect(isOurPatch(exact, patched, sha512(data))).toBe(true);
    expect(unpatchFile(exact, patched)).toEqual(data);
  });

  it('the patch of any other version fits with what the manifest allows', () => {
    for (const patch of hook.patches) {
      expect(patchFile({ ...hook, patches: [patch] }, data, major)).toEqual(patchFile(hook, data, major));
    }
  });
});

import { stripTypeScriptTypes } from 'node:module';
import { posix } from 'node:path';

/** Of a file of ours: static, re-exporting, for its effects alone, dynamic. */
const SPECIFIER = /(\bfrom\s+|\bimport\s*\(\s*|^import\s+)'(\.{1,2}\/[^']+)\.ts'/gm;

/**
 * JavaScript of a TypeScript source: Node's own type stripping, as it runs from source, so that each line and column stays where it
 * was; and imports that name the built files.
 */
export function builtSource(text: string): string {
  return stripTypeScriptTypes(text, { mode: 'strip' }).replace(SPECIFIER, "$1'$2.js'");
}

/** What a built file imports of its own release: paths from the release's root. */
export function importsWithin(path: string, text: string): readonly string[] {
  const found = text.matchAll(/(?:\bfrom\s+|\bimport\s*\(\s*|^import\s+)'(\.{1,2}\/[^']+)'/gm);
  return [...found].map((match) => posix.join(posix.dirname(path), match[1] ?? ''));
}

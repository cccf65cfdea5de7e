import { readFileSync } from 'node:fs';

/** What a script is put together from. */
export interface ScriptParts {
  /** A line `# @@WORD NAME@@` is the file NAME in the folder of WORD, which ends as the script does. A folder's URL ends in a slash. */
  readonly folders: Readonly<Record<string, URL>>;
  /** A line `# @@WORD@@` is this text. One that is not told here stays. */
  readonly lines?: Readonly<Record<string, string>>;
}

/** The script with all its parts in it, and theirs. Throws TypeError for a word that has no folder. */
export function scriptText(file: URL, { folders, lines = {} }: ScriptParts): string {
  const ending = /\.[a-z0-9]+$/.exec(file.pathname)?.[0] ?? '';
  const read = (from: URL): string =>
    readFileSync(from, 'utf8').replace(/^# @@([a-z]+)(?: ([a-z-]+))?@@$/gm, (line, word: string, name?: string) => {
      if (name === undefined) return lines[word] ?? line;
      const folder = folders[word];
      if (folder === undefined) throw new TypeError(`nobody knows the parts "${word}" of a script`);
      return read(new URL(`${name}${ending}`, folder)).trimEnd();
    });
  return read(file);
}

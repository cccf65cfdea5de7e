import { createHash } from 'node:crypto';
import { lstat, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LatchkeyError } from '../platform/errors.ts';
import type { Wanted } from './plan.ts';
import { appVersionIn } from './targets/info-xml.ts';
import type { TreeFile } from './transports/transport.ts';
import { readWatchParts, type WatchParts } from './watch/watch-files.ts';

/** What of `php-app/` belongs onto a server; tests and the settings of checkers stay here. */
const DEPLOYED = ['appinfo', 'bin', 'css', 'img', 'js', 'l10n', 'lib', 'templates'];
const DEPLOYED_FILES = /^(autoload\.php|core-hook\.php|LICENSE|README\.md|CHANGELOG\.md)$/;

export interface LocalApp extends Wanted {
  readonly files: readonly TreeFile[];
  readonly watch: WatchParts;
}

/** Reads the app as it is to be deployed, from `php-app/` of this project. */
export async function readLocalApp(folder: string): Promise<LocalApp> {
  const names = (await readdir(folder)).filter((name) => DEPLOYED.includes(name) || DEPLOYED_FILES.test(name));
  const paths = (await Promise.all(names.map((name) => filesBelow(folder, name)))).flat().sort();
  const files = await Promise.all(
    paths.map(async (path) => ({ path, data: await readFile(join(folder, path)), mode: 0o644 })),
  );
  const info = files.find((file) => file.path === 'appinfo/info.xml');
  const version = info === undefined ? null : appVersionIn(info.data.toString('utf8'));
  if (version === null) throw new LatchkeyError('app_incomplete', `${folder} holds no app with a version`);
  const heartbeat = files.find((file) => file.path === 'bin/heartbeat.sh');
  if (heartbeat === undefined) throw new LatchkeyError('app_incomplete', `${folder} holds no heartbeat script`);
  const content = files.map((file) => [file.path, createHash('sha256').update(file.data).digest('hex')]);
  return {
    files,
    app: { version, content: Object.fromEntries(content) as Record<string, string> },
    heartbeat: heartbeat.data.toString('utf8'),
    watch: await readWatchParts(files),
  };
}

async function filesBelow(folder: string, path: string): Promise<string[]> {
  const state = await lstat(join(folder, path));
  if (state.isFile()) return [path];
  if (!state.isDirectory())
    throw new LatchkeyError('app_incomplete', `${path} of the app is neither a file nor a folder`);
  const names = await readdir(join(folder, path));
  return (await Promise.all(names.map((name) => filesBelow(folder, `${path}/${name}`)))).flat();
}

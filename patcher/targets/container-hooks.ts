import { APP_ID, type EntryHook } from '../facts.ts';
import type { Transport } from '../transports/transport.ts';
import type { ContainerMount } from './container-engine.ts';
import { mountAt, outlives } from './container-places.ts';

/** Folders whose scripts the official image's entry point runs, as the web user, after an upgrade and at each start. */
const FOLDERS: readonly string[] = [
  '/docker-entrypoint-hooks.d/post-upgrade',
  '/docker-entrypoint-hooks.d/before-starting',
];
const NAME = '90-latchkey.sh';

/** Pure: what a container can do by itself for the app after an upgrade. The entry point ends when a script fails. */
export function entryHookScript(root: string): string {
  return `#!/bin/sh
# written by ncpatch; "ncpatch remove" takes it away
# an upgrade may have switched off the app that fetches the encryption keys; without it no file opens
php ${quoted(`${root}/occ`)} app:enable ${APP_ID} || :
`;
}

/** The folders that can be used, with what is in them now. */
export async function readEntryHooks(
  inside: Transport,
  mounts: readonly ContainerMount[],
  root: string,
): Promise<EntryHook[]> {
  const hooks: EntryHook[] = [];
  for (const folder of FOLDERS) {
    if (!outlives(folder, mounts) || (await inside.stat(folder))?.kind !== 'directory') continue;
    const path = `${folder}/${NAME}`;
    const content = await inside.readFile(path, { max: 65_536 });
    const writable = mountAt(folder, mounts)?.writable === true;
    hooks.push({ path, writable, wanted: entryHookScript(root), content: content?.toString('utf8') ?? null });
  }
  return hooks;
}

function quoted(word: string): string {
  return /^[\w/.-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

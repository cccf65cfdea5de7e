import type { Transport } from '../transports/transport.ts';

/** What the app, the heartbeat and an interrupted write of theirs leave in a state folder. */
const FILES = new Set([
  ...['client.json', 'link.json', 'client.key', 'client.crt', 'ca.pem', 'lock', 'purge'],
  ...['breaker.json', 'heartbeat.json', 'releases.json', 'rollback.json'],
  ...['client.new', 'renewal.json', 'notice.json', 'notice.sending'],
]);
const TEMPORARY = /^\..+\.new$/;

/**
 * Removes the app's files from its state folder, and the folder if nothing else is in it. Its owner chose where it lies,
 * so whatever is not the app's stays. Returns the names of that; a folder that is not there is no error.
 */
export async function removeStateFolder(transport: Transport, path: string): Promise<string[]> {
  const entries = (await transport.list(path)) ?? [];
  const isOurs = (name: string, kind: string): boolean =>
    kind !== 'directory' && (FILES.has(name) || TEMPORARY.test(name));
  for (const { name, kind } of entries) if (isOurs(name, kind)) await transport.remove(`${path}/${name}`);
  const left = entries.filter(({ name, kind }) => !isOurs(name, kind)).map(({ name }) => name);
  if (left.length === 0) await transport.remove(path);
  return left;
}

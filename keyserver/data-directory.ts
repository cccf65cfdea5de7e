import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { openDirectory } from '../platform/data-directory.ts';

/** The files of a data directory, besides `config.json` and `vault.json`. */
export const databaseFile = (directory: string): string => join(directory, 'keyserver.db');
export const authorityFile = (directory: string): string => join(directory, 'ca.pem');
export const auditKeyFile = (directory: string): string => join(directory, 'audit.pub');
/** What other programs may read: certificates that no longer hold (RFC 5280), signed. */
export const revocationListFile = (directory: string, form: 'pem' | 'der'): string => join(directory, `crl.${form}`);
export const killFile = (directory: string): string => join(directory, 'KILL');

/** The absolute path of a server's data directory; a server never makes one. Throws `data_missing`, `data_too_open`. */
export function openDataDirectory(path: string): string {
  return openDirectory(path, ['config.json', 'vault.json'], 'key server', 'keyserver');
}

/** Files in the directory that others may read, by name; public ones do not count, nor a log that launchd has made. */
export function openFiles(directory: string): string[] {
  const open = ['ca.pem', 'audit.pub', 'crl.pem', 'crl.der', 'keyserver.log'];
  return readdirSync(directory).filter((name) => {
    return !open.includes(name) && (statSync(join(directory, name)).mode & 0o077) !== 0;
  });
}

/** Whether the operator laid a file named KILL into the directory: then nothing is released. */
export function isKillFilePresent(directory: string): boolean {
  return existsSync(killFile(directory));
}

/** `isKillFilePresent` for a running server: one look serves all requests that are heard in the same turn. */
export function killFileLook(directory: string): () => boolean {
  let isKnown = false;
  let isPresent = false;
  return () => {
    if (isKnown) return isPresent;
    isPresent = isKillFilePresent(directory);
    isKnown = true;
    setImmediate(() => {
      isKnown = false;
    });
    return isPresent;
  };
}

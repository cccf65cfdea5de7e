import { constants, privateDecrypt } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type InstanceSecret, openCryptoText, openFileContent, openKeyBlob } from './nextcloud-crypto.ts';

/** What somebody has who copied a Nextcloud's disk. */
export interface StolenDisk {
  readonly data: string;
  /** config.php, or `null` for a copy without it. */
  readonly config: string | null;
}

/** `secret` and `instanceid`, read from config.php as text. */
export function secretOf(disk: StolenDisk): InstanceSecret | null {
  const text = disk.config !== null && existsSync(disk.config) ? readFileSync(disk.config, 'utf8') : '';
  const value = (name: string): string | undefined =>
    new RegExp(`'${name}' => '((?:[^'\\\\]|\\\\.)*)'`).exec(text)?.[1];
  const [secret, instanceId] = [value('secret'), value('instanceid')];
  if (secret === undefined || instanceId === undefined) return null;
  return { secret: secret.replace(/\\(.)/g, '$1'), instanceId };
}

/** What a key file holds: JSON with the key in base64, under the instance's secret. */
function keyIn(path: string, { secret }: InstanceSecret): Buffer | null {
  const text = existsSync(path) ? openCryptoText(readFileSync(path, 'latin1'), secret) : null;
  if (text === null) return null;
  const { key } = JSON.parse(text.toString('utf8')) as { readonly key: string };
  return Buffer.from(key, 'base64');
}

/** Every private key of the instance that the disk holds, opened where its secret opens it; id without `.privateKey`. */
export function privateKeysOn(disk: StolenDisk): ReadonlyMap<string, string> {
  const instance = secretOf(disk);
  const folder = join(disk.data, 'files_encryption', 'OC_DEFAULT_MODULE');
  const pems = new Map<string, string>();
  if (instance === null || !existsSync(folder)) return pems;
  for (const name of readdirSync(folder).filter((one) => one.endsWith('.privateKey'))) {
    const uid = name.slice(0, -'.privateKey'.length);
    const blob = keyIn(join(folder, name), instance);
    const pem = blob === null ? null : openKeyBlob(blob, instance, uid);
    if (pem !== null) pems.set(uid, pem);
  }
  return pems;
}

/** Reads one user's file off the disk with whatever private keys there are; `null` when none opens it. */
export function readStolenFile(
  disk: StolenDisk,
  user: string,
  path: string,
  privateKeys: Iterable<string> = privateKeysOn(disk).values(),
): Buffer | null {
  const instance = secretOf(disk);
  const folder = join(disk.data, user, 'files_encryption', 'keys', 'files', path, 'OC_DEFAULT_MODULE');
  if (instance === null || !existsSync(folder)) return null;
  for (const pem of privateKeys) {
    for (const name of readdirSync(folder).filter((one) => one.endsWith('.shareKey'))) {
      const shareKey = keyIn(join(folder, name), instance);
      const fileKey = shareKey === null ? null : opened(shareKey, pem);
      if (fileKey !== null) return openFileContent(readFileSync(join(disk.data, user, 'files', path)), fileKey);
    }
  }
  return null;
}

function opened(shareKey: Buffer, pem: string): Buffer | null {
  try {
    return privateDecrypt({ key: pem, padding: constants.RSA_PKCS1_OAEP_PADDING }, shareKey);
  } catch {
    return null;
  }
}

import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { isLatchkeyError, LatchkeyError } from '../../platform/errors.ts';
import { createSecretFile, readSecretFile } from '../../platform/files.ts';

/** Where the auditor's key lies unless told otherwise: the user's folder for state (XDG base directories). */
export function defaultKeyFile(env: Readonly<Record<string, string | undefined>>): string {
  const named = env.XDG_STATE_HOME;
  const state = named !== undefined && isAbsolute(named) ? named : join(env.HOME ?? homedir(), '.local', 'state');
  return join(state, 'latchkey', 'audit-key.pem');
}

/** The key that signs baselines; with `make` it is made when there is none. It never leaves this machine. */
export function auditorKey(file: string, options: { readonly make: boolean }): KeyObject {
  const path = resolve(file);
  if (!existsSync(path)) {
    if (!options.make) {
      throw new LatchkeyError('baseline_key_missing', `the key that signs baselines is not in ${file}`, {
        exit: 3,
        hint: 'bring it here from where the baseline was made, or name it: --baseline-key FILE',
      });
    }
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const { privateKey } = generateKeyPairSync('ed25519');
    makeOnce(path, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
  }
  let key: KeyObject;
  const pem = readSecretFile(path, { max: 4096 });
  try {
    key = createPrivateKey(pem);
  } catch (cause) {
    throw new LatchkeyError('baseline_key_unusable', `${file} holds no private key`, { exit: 3, cause });
  }
  if (key.asymmetricKeyType === 'ed25519') return key;
  throw new LatchkeyError('baseline_key_unusable', `${file} holds no Ed25519 key`, { exit: 3 });
}

/** Another ncpatch may make it at the same moment: then that one is the key. */
function makeOnce(path: string, pem: string): void {
  try {
    createSecretFile(path, pem);
  } catch (error) {
    if (!isLatchkeyError(error, 'file_exists')) throw error;
  }
}

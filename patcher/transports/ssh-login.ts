import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { LatchkeyError } from '../../platform/errors.ts';
import type { Prompter } from './prompter.ts';

/** One way to prove who we are; `ssh-connection.ts` hands them to the server in this order. */
export type LoginMethod =
  | { readonly type: 'agent'; readonly socket: string }
  | { readonly type: 'key'; readonly file: string; readonly data: Buffer; readonly required: boolean }
  | { readonly type: 'password' };

const DEFAULT_KEYS = ['id_ed25519', 'id_ecdsa', 'id_rsa'];

/** A key file the user named is tried first; then the agent, the usual key files, and a password where one can be asked. */
export function loginMethods(options: {
  readonly identity: string | undefined;
  readonly agent: string | undefined;
  readonly keyFolder?: string;
  readonly prompter: Prompter | null;
}): LoginMethod[] {
  const methods: LoginMethod[] = [];
  if (options.identity !== undefined) methods.push(keyFile(options.identity));
  if (options.agent !== undefined) methods.push({ type: 'agent', socket: options.agent });
  if (options.identity === undefined) {
    const folder = options.keyFolder ?? join(homedir(), '.ssh');
    for (const name of DEFAULT_KEYS) methods.push(...optionalKeyFile(join(folder, name)));
  }
  if (options.prompter !== null) methods.push({ type: 'password' });
  return methods;
}

function keyFile(file: string): LoginMethod {
  try {
    return { type: 'key', file, data: readFileSync(file), required: true };
  } catch (error) {
    throw new LatchkeyError('identity_unreadable', `the key file ${file} could not be read`, {
      exit: 2,
      field: '--identity',
      cause: error,
    });
  }
}

function optionalKeyFile(file: string): LoginMethod[] {
  try {
    return [{ type: 'key', file, data: readFileSync(file), required: false }];
  } catch {
    return []; // not there, or not ours to read: ssh passes over it too
  }
}

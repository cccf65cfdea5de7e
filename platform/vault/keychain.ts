import type { RandomBytes } from '../clock.ts';
import { encodeBase64Url } from '../encoding.ts';
import { isLatchkeyError, LatchkeyError } from '../errors.ts';
import { run } from '../run.ts';
import { otherMethod, saltBytes, type UnsealMethod, wrappingKey } from './unseal.ts';

/** Apple's own program, by its whole path: one that stands earlier in PATH is not asked. */
const securityProgram = '/usr/bin/security';
/** errSecItemNotFound, as the program's exit code. */
const notFound = 44;
const account = 'latchkey';
/** A dialogue that nobody answers must not keep a server from saying so. */
const patience = 60_000;

/** 32 random bytes as 64 hex digits in the macOS keychain, a generic password of the service `service`. */
export function keychainMethod(service: string, program: string = securityProgram): UnsealMethod {
  assertService(service);
  return {
    method: 'keychain',
    newHeader: (random: RandomBytes) => ({ method: 'keychain', salt: encodeBase64Url(random(saltBytes)) }),
    kekOf: async (header) => {
      if (header.method !== 'keychain') throw otherMethod(header.method);
      const secret = await findKeychainSecret(service, program);
      if (secret !== null) return wrappingKey(secret, header);
      throw new LatchkeyError('keychain_refused', `the keychain has no item of the service ${service}`, {
        hint: 'at boot, before anybody logs in, only the keychain "System" can be read',
      });
    },
  };
}

/** The secret, or `null` when there is no such item. Throws `keychain_refused`, `command_missing`. */
export async function findKeychainSecret(service: string, program: string = securityProgram): Promise<Buffer | null> {
  assertService(service);
  try {
    const { exit, stdout } = await run([program, 'find-generic-password', '-a', account, '-s', service, '-w'], {
      timeoutMs: patience,
      maxBytes: 4096,
      allowExit: [notFound],
    });
    if (exit === notFound) return null;
    const text = stdout.toString('latin1').trimEnd();
    if (/^[0-9a-f]{64}$/.test(text)) return Buffer.from(text, 'hex');
  } catch (cause) {
    if (!isLatchkeyError(cause, 'command_failed') && !isLatchkeyError(cause, 'command_timeout')) throw cause;
    throw new LatchkeyError('keychain_refused', `the keychain did not hand out the item of the service ${service}`, {
      cause,
      hint: 'is it locked, or was the question on the screen answered with no?',
    });
  }
  throw new LatchkeyError('keychain_refused', `the item of the service ${service} must be 64 hex digits`, { exit: 2 });
}

/** Puts a new secret there. It travels by standard input, never in the arguments that everybody may list. */
export async function createKeychainSecret(
  service: string,
  secret: Uint8Array,
  program: string = securityProgram,
): Promise<void> {
  assertService(service);
  const hex = Buffer.from(secret).toString('hex');
  const trusted = `-T ${securityProgram}`;
  await run([program, '-i'], {
    input: `add-generic-password -a ${account} -s ${service} -l "Latchkey vault" ${trusted} -w ${hex}\n`,
    timeoutMs: patience,
    maxBytes: 4096,
  });
  const stored = await findKeychainSecret(service, program); // the program's exit code is not that of the command it read
  if (stored?.equals(secret) === true) return;
  throw new LatchkeyError('keychain_refused', 'the keychain did not take the new item');
}

/** It becomes part of a command line that `security` takes apart itself. */
function assertService(service: string): void {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(service)) return;
  throw new LatchkeyError('invalid_request', '"--keychain" must be 1 to 64 letters, digits, ".", "_" and "-"', {
    exit: 2,
    field: '--keychain',
  });
}

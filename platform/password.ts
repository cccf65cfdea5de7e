import { argon2 } from 'node:crypto';
import type { RandomBytes } from './clock.ts';
import { constantTimeEqual } from './encoding.ts';
import { LatchkeyError } from './errors.ts';

/**
 * Argon2id with 19 MiB, 2 passes, 1 lane: what the OWASP Password Storage Cheat Sheet asks for at least. The vault's
 * passphrase costs more (unseal.ts), but this one is worked out at every log-in, in the process that releases keys, and a
 * second factor stands beside it.
 */
const cost = { memoryKiB: 19_456, passes: 2, lanes: 1 };
const saltBytes = 16;
const hashBytes = 32;
const shortest = 12;
/** Longer ones are no safer, and each try costs by its length. */
export const longestPassword = 256;

/** Throws `password_refused` for one that is too short or too long. */
export function assertPassword(password: string): void {
  const length = [...password.normalize('NFC')].length;
  if (length >= shortest && length <= longestPassword) return;
  throw new LatchkeyError(
    'password_refused',
    `the password must have from ${shortest} to ${longestPassword} characters`,
    {
      exit: 2,
      field: 'password',
    },
  );
}

/** The hash in the PHC string format: `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`. */
export async function hashPassword(password: string, random: RandomBytes): Promise<string> {
  const salt = random(saltBytes);
  const { memoryKiB, passes, lanes } = cost;
  const hash = await stretch(password, { salt, memoryKiB, passes, lanes });
  return `$argon2id$v=19$m=${memoryKiB},t=${passes},p=${lanes}$${base64(salt)}$${base64(hash)}`;
}

/** Whether `password` is the one of `text`. Throws `account_damaged` for a text that `hashPassword` did not write. */
export async function isPassword(password: string, text: string): Promise<boolean> {
  const match =
    /^\$argon2id\$v=19\$m=([0-9]{4,7}),t=([0-9]{1,2}),p=([0-9]{1,2})\$([A-Za-z0-9+/]{22})\$([A-Za-z0-9+/]{43})$/.exec(
      text,
    );
  if (match === null)
    throw new LatchkeyError('account_damaged', 'the password hash of an administrator could not be read');
  const [, memory, passes, lanes, salt = '', hash = ''] = match;
  const header = {
    salt: Buffer.from(salt, 'base64'),
    memoryKiB: Number(memory),
    passes: Number(passes),
    lanes: Number(lanes),
  };
  return constantTimeEqual(await stretch(password, header), Buffer.from(hash, 'base64'));
}

interface Header {
  readonly salt: Buffer;
  readonly memoryKiB: number;
  readonly passes: number;
  readonly lanes: number;
}

function stretch(password: string, { salt, memoryKiB, passes, lanes }: Header): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    argon2(
      'argon2id',
      {
        message: Buffer.from(password.normalize('NFC'), 'utf8'),
        nonce: salt,
        memory: memoryKiB,
        passes,
        parallelism: lanes,
        tagLength: hashBytes,
      },
      (error, hash) => (error === null ? resolve(hash) : reject(error)),
    );
  });
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replace(/=+$/, '');
}

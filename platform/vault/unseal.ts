import { argon2, hkdfSync } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import type { RandomBytes } from '../clock.ts';
import { decodeBase64Url, encodeBase64Url } from '../encoding.ts';
import { LatchkeyError } from '../errors.ts';
import { readSecretFile } from '../files.ts';

/**
 * Argon2id as RFC 9106, section 4, recommends where memory is dear: 64 MiB, 3 passes, 4 lanes, 16 bytes of salt. The
 * numbers are written into vault.json, so that later ones may grow; the bounds keep an altered file from asking for
 * work that never ends (it could not be weaker in secret: the header is bound to the wrapped key).
 */
const argonDefaults = { memoryKiB: 64 * 1024, passes: 3, lanes: 4 };
export const saltBytes = 16;
const kekBytes = 32;
/** The size of a key file. */
export const keyfileBytes = 32;
const shortestPassphrase = 12;
/** More people than this do not keep a secret. */
export const mostShares = 32;

const salt = z.string().refine((text) => decodeBase64Url(text, saltBytes) !== null, 'must be base64url of 16 bytes');

/** How the wrapping key is obtained again; kept in vault.json. */
export const kekHeaderSchema = z.discriminatedUnion('method', [
  z.strictObject({
    method: z.literal('passphrase'),
    salt,
    memoryKiB: z
      .int()
      .min(8 * 1024)
      .max(4 * 1024 * 1024),
    passes: z.int().min(1).max(64),
    lanes: z.int().min(1).max(64),
  }),
  z.strictObject({ method: z.literal('keyfile'), salt }),
  z.strictObject({ method: z.literal('credential'), salt }),
  z.strictObject({ method: z.literal('keychain'), salt }),
  z.strictObject({
    method: z.literal('shares'),
    salt,
    set: z.string().regex(/^[0-9a-f]{8}$/, 'must be 8 hex digits'),
    threshold: z.int().min(2).max(mostShares),
    /** Of each share, in the order of their numbers, so that a wrong one can be named. */
    digests: z
      .array(z.string().regex(/^[0-9a-f]{32}$/, 'must be 32 hex digits'))
      .min(2)
      .max(mostShares),
  }),
]);
export type KekHeader = z.infer<typeof kekHeaderSchema>;
export type SharesHeader = KekHeader & { method: 'shares' };

/** One way to the key that unwraps the vault. Each yields 32 bytes for a header, or throws. */
export interface UnsealMethod {
  readonly method: KekHeader['method'];
  /** A header for a new vault. */
  newHeader(random: RandomBytes): KekHeader;
  kekOf(header: KekHeader): Promise<Buffer>;
}

/** A passphrase, stretched; `ask` is called when it is needed and its answer is not kept. */
export function passphraseMethod(ask: () => Promise<string>): UnsealMethod {
  return {
    method: 'passphrase',
    newHeader: (random) => ({ method: 'passphrase', salt: encodeBase64Url(random(saltBytes)), ...argonDefaults }),
    kekOf: async (header) => {
      if (header.method !== 'passphrase') throw otherMethod(header.method);
      const passphrase = (await ask()).normalize('NFC');
      if ([...passphrase].length < shortestPassphrase) {
        throw new LatchkeyError(
          'passphrase_too_short',
          `the passphrase must be at least ${shortestPassphrase} characters`,
          {
            exit: 2,
          },
        );
      }
      return stretch(passphrase, header);
    },
  };
}

/** A passphrase from a file that only its owner may read; one line end at its end is not part of it. */
export function passphraseFileMethod(path: string): UnsealMethod {
  return passphraseMethod(async () => {
    const text = readSecretFile(path)
      .toString('utf8')
      .replace(/\r?\n$/, '');
    if (/[\r\n]/.test(text)) {
      throw new LatchkeyError('invalid_request', '"--passphrase-file" must hold one line', {
        exit: 2,
        field: '--passphrase-file',
      });
    }
    return text;
  });
}

/** 32 random bytes in a file of mode 0600. */
export function keyfileMethod(path: string): UnsealMethod {
  return fileMethod('keyfile', async () => {
    const key = readSecretFile(path);
    if (key.length === keyfileBytes) return key;
    throw new LatchkeyError(
      'invalid_request',
      `"--keyfile" must hold exactly ${keyfileBytes} bytes, it holds ${key.length}`,
      {
        exit: 2,
        field: '--keyfile',
      },
    );
  });
}

/**
 * A credential handed over by systemd (systemd.exec(5), LoadCredentialEncrypted=): a file in `$CREDENTIALS_DIRECTORY`,
 * at least 32 bytes of any shape, which systemd decrypts with the machine's TPM or host key.
 */
export function credentialMethod(name: string, env: Readonly<Record<string, string | undefined>>): UnsealMethod {
  return fileMethod('credential', async () => {
    const directory = env.CREDENTIALS_DIRECTORY;
    if (directory === undefined || directory === '') {
      throw new LatchkeyError('credential_missing', '"--credential" needs $CREDENTIALS_DIRECTORY, which is not set', {
        hint: 'start the server as a systemd unit with LoadCredentialEncrypted=',
      });
    }
    if (!/^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}$/.test(name)) {
      throw new LatchkeyError('invalid_request', '"--credential" must be a name of letters, digits, "_", "-" and "."', {
        exit: 2,
        field: '--credential',
      });
    }
    // no mode check: systemd guards the directory, and shows an access list for User= as a group bit (0440)
    const secret = await readFile(join(directory, name)).catch((cause: unknown) => {
      throw new LatchkeyError('credential_missing', `the credential ${name} could not be read`, { cause });
    });
    if (secret.length >= keyfileBytes) return secret;
    throw new LatchkeyError('invalid_request', `the credential must hold at least ${keyfileBytes} bytes`, {
      exit: 2,
      field: '--credential',
    });
  });
}

function fileMethod(method: 'keyfile' | 'credential', read: () => Promise<Buffer>): UnsealMethod {
  return {
    method,
    newHeader: (random) => ({ method, salt: encodeBase64Url(random(saltBytes)) }),
    kekOf: async (header) => {
      if (header.method !== method) throw otherMethod(header.method);
      return wrappingKey(await read(), header);
    },
  };
}

/** The wrapping key out of a secret that is random already. */
export function wrappingKey(secret: Uint8Array, header: KekHeader): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, saltOf(header), `latchkey kek 1|${header.method}`, kekBytes));
}

function stretch(passphrase: string, header: KekHeader & { method: 'passphrase' }): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    argon2(
      'argon2id',
      {
        message: Buffer.from(passphrase, 'utf8'),
        nonce: saltOf(header),
        memory: header.memoryKiB,
        passes: header.passes,
        parallelism: header.lanes,
        tagLength: kekBytes,
      },
      (error, key) => (error === null ? resolve(key) : reject(error)),
    );
  });
}

function saltOf(header: KekHeader): Buffer {
  return Buffer.from(header.salt, 'base64url');
}

/** By which option a vault of that method is opened. */
export const unsealOption: Readonly<Record<KekHeader['method'], string>> = {
  passphrase: '--passphrase-file FILE',
  keyfile: '--keyfile FILE',
  credential: '--credential NAME',
  keychain: '--keychain NAME',
  shares: '--share-file FILE for each share',
};

/** How a method is called in a sentence. */
export const methodWords: Readonly<Record<KekHeader['method'], string>> = {
  passphrase: 'a passphrase',
  keyfile: 'a keyfile',
  credential: 'a credential',
  keychain: 'a keychain item',
  shares: 'shares',
};

/** The refusal of a secret of another kind than the vault's. */
export function otherMethod(method: KekHeader['method']): LatchkeyError {
  return new LatchkeyError('unseal_failed', `this vault is sealed with ${methodWords[method]}`, {
    hint: `use ${unsealOption[method]}`,
  });
}

import { Decrypter, Encrypter, type Identity, type Recipient } from 'age-encryption';
import { LatchkeyError } from '../errors.ts';
import { readSecretFile } from '../files.ts';
import { damaged } from './archive-kind.ts';
import { type Envelope, type Opener, plainEnvelope } from './envelope.ts';

/** What age seals: so that what its own program brings out of the file is a backup too, in clear. */
const inside = plainEnvelope();

/**
 * Seals for recipients (`age1…`), as a file of age-encryption.org/v1 that the program age opens as well. The identities are not here, so what this very envelope has sealed it opens by the key of
 * the file, which it keeps in memory for that: whether the recipients can open it is all that stays unproven.
 */
export function ageEnvelope(recipients: readonly string[]): Envelope {
  const kept = new KeptFileKey();
  const encrypter = new Encrypter();
  for (const recipient of recipients) addRecipient(encrypter, recipient);
  encrypter.addRecipient(kept);
  return {
    seal: (kind, contents) => encrypted(encrypter, inside.seal(kind, contents)),
    open: (kind, file) => inside.open(kind, decrypted([kept], file)),
  };
}

/** Opens with the identities in a file (mode 0600), one a line, comments allowed. */
export function ageOpener(path: string): Opener {
  const identities = readIdentities(path);
  return {
    open: (kind, file) => inside.open(kind, decrypted(identities, file)),
  };
}

function addRecipient(encrypter: Encrypter, recipient: string): void {
  try {
    encrypter.addRecipient(recipient);
  } catch (cause) {
    throw new LatchkeyError('invalid_request', '"--age-recipient" must be a recipient of age (age1…)', {
      exit: 2,
      field: '--age-recipient',
      hint: 'age-keygen -o FILE makes an identity and prints its recipient; keys of SSH and plugins are not taken',
      cause,
    });
  }
}

function readIdentities(path: string): readonly string[] {
  const lines = readSecretFile(path, { max: 65_536 }).toString('utf8').split(/\r?\n/);
  const identities = lines.filter((line) => line !== '' && !line.startsWith('#'));
  try {
    for (const identity of identities) new Decrypter().addIdentity(identity);
    if (identities.length > 0) return identities;
  } catch {
    // the error's text may hold the identity
  }
  throw new LatchkeyError('invalid_request', '"--age-identity" must hold identities of age, one a line', {
    exit: 2,
    field: '--age-identity',
    hint: 'one that is locked, in a plugin or of SSH: open the backup with age --decrypt and restore what comes out',
  });
}

async function* encrypted(encrypter: Encrypter, plain: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* await encrypter.encrypt(ReadableStream.from(plain));
}

async function* decrypted(
  identities: readonly (string | Identity)[],
  file: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const decrypter = new Decrypter();
  for (const identity of identities) decrypter.addIdentity(identity);
  let isOpen = false;
  try {
    for await (const piece of await decrypter.decrypt(ReadableStream.from(file))) {
      isOpen = true;
      yield piece;
    }
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).errno !== undefined) throw cause; // the file could not be read
    if (isOpen) throw damaged('is damaged or cut off', cause);
    throw new LatchkeyError('backup_refused', 'no identity opens the backup, or its beginning is damaged', {
      hint: 'check that the identity is of the recipient it was made for',
      cause,
    });
  }
}

/** Is told the key of the file that is being sealed, adds nothing to it, and can open that file. */
class KeptFileKey implements Recipient, Identity {
  #fileKey: Uint8Array | null = null;

  wrapFileKey(fileKey: Uint8Array): [] {
    this.#fileKey = fileKey.slice();
    return [];
  }

  unwrapFileKey(): Uint8Array | null {
    return this.#fileKey;
  }
}

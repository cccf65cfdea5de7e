import { createPrivateKey } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { LatchkeyError } from '../../platform/errors.ts';
import { readSecretFile } from '../../platform/files.ts';
import { type Identity, isKeyOf } from '../../platform/listening/identity.ts';

/** A chain of a dozen certificates is shorter. */
const largest = 65_536;

/** Certificate and key that somebody else renews: absolute paths. */
export interface CertificateFiles {
  readonly certificate: string;
  readonly key: string;
}

/** What changes when one of them is written or put in another's place. */
export function markOf({ certificate, key }: CertificateFiles): string {
  return [certificate, key]
    .map((path) => {
      const state = statSync(path, { throwIfNoEntry: false });
      return state === undefined ? '-' : `${state.ino} ${state.size} ${state.mtimeMs} ${state.ctimeMs}`;
    })
    .join(', ');
}

/** A pair that TLS can be spoken with. Throws `tls_unusable`, and what `readSecretFile` throws for a key that others may read. */
export function readCertificateFiles(files: CertificateFiles): Identity {
  const certificate = readPublic(files.certificate);
  const privateKey = keyIn(readSecretFile(files.key, { max: largest }), files.key);
  try {
    if (!isKeyOf(certificate, privateKey)) throw unusable(files.key, `is not the key of ${files.certificate}`);
    createSecureContext({ cert: certificate, key: createPrivateKey(pkcs8(privateKey)).export(pem) });
  } catch (cause) {
    if (cause instanceof LatchkeyError) throw cause;
    throw unusable(files.certificate, 'holds no certificate that TLS can be spoken with', cause);
  }
  return { certificate, privateKey };
}

const pem = { format: 'pem', type: 'pkcs8' } as const;
const pkcs8 = (key: Buffer) => ({ key, format: 'der', type: 'pkcs8' }) as const;

function readPublic(path: string): string {
  try {
    if (statSync(path).size <= largest) return readFileSync(path, 'utf8');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown';
    throw new LatchkeyError('file_not_read', `${path} could not be read (${code})`, { cause });
  }
  throw new LatchkeyError('file_not_read', `${path} is larger than ${largest} bytes`);
}

function keyIn(text: Buffer, path: string): Buffer {
  try {
    return createPrivateKey({ key: text, format: 'pem' }).export({ format: 'der', type: 'pkcs8' });
  } catch {
    throw unusable(path, 'holds no private key in PEM without a passphrase'); // what the parser says is of the key
  }
}

function unusable(path: string, words: string, cause?: unknown): LatchkeyError {
  const hint =
    'certificate (the whole chain) and key must be of one another; a running hub goes on with the pair before';
  return new LatchkeyError('tls_unusable', `${path} ${words}`, { hint, cause });
}

import { readFile } from 'node:fs/promises';
import { askSecret, type Terminal } from '../../platform/command-line.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { readSecretFile } from '../../platform/files.ts';

/** Longest secret that is taken from a file or stdin. */
const MAX_BYTES = 4096;

/**
 * One secret: from a file that only its owner may read, from stdin (`-`), or asked for. One line, without its end;
 * more than one is refused, because a wrong file is the likelier reason.
 */
export async function readSecret(
  terminal: Terminal,
  source: string | undefined,
  about: { readonly name: string; readonly option: string },
): Promise<string> {
  if (source === undefined) {
    return askSecret(
      terminal,
      about.name,
      `hand it over with ${about.option} FILE, or ${about.option} - for standard input`,
    );
  }
  const bytes = source === '-' ? await readStdin(terminal) : readSecretFile(source, { max: MAX_BYTES });
  const text = bytes.toString('utf8').replace(/\r?\n$/, '');
  if (text === '' || text.includes('\n')) {
    throw new LatchkeyError(
      'invalid_request',
      `"${about.option}" must hold ${about.name} on one line and nothing else`,
      {
        exit: 2,
        field: about.option,
      },
    );
  }
  return text;
}

/** Asks twice for a new passphrase; a file is read once. */
export async function readNewPassphrase(
  terminal: Terminal,
  source: string | undefined,
  about: { readonly name: string; readonly option: string },
): Promise<string> {
  const first = await readSecret(terminal, source, about);
  if (source !== undefined) return first;
  const again = await readSecret(terminal, undefined, { ...about, name: `${about.name} again` });
  if (again !== first) throw new LatchkeyError('passphrases_differ', 'the two passphrases differ', { exit: 2 });
  return first;
}

async function readStdin(terminal: Terminal): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of terminal.stdin) {
    const bytes = Buffer.from(chunk as Uint8Array);
    size += bytes.length;
    if (size > MAX_BYTES)
      throw new LatchkeyError('invalid_request', `standard input holds more than ${MAX_BYTES} bytes`, { exit: 2 });
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

/** A public file, such as a certificate. */
export async function readPublicFile(path: string, option: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new LatchkeyError('file_not_read', `the file of "${option}" could not be read`, {
      exit: 2,
      field: option,
      cause,
    });
  }
}

import type { Terminal } from '../../platform/command-line.ts';
import { isLatchkeyError, LatchkeyError } from '../../platform/errors.ts';
import { openOwnerCopy, refuseShortPassphrase } from './owner-copy.ts';
import { readCopy } from './owner-copy-file.ts';
import { readNewPassphrase, readSecret } from './secret-input.ts';

const PASSPHRASE = { name: "the passphrase of the owner's copy", option: '--copy-passphrase-file' };

/** Mistyped; whoever has come that far is asked again. */
const MISTYPED = ['passphrases_differ', 'passphrase_too_short', 'copy_not_opened'];

export interface PassphraseDeps {
  readonly terminal: Terminal;
  /** A file, or `-`; asked for without one. */
  readonly source: string | undefined;
  /** The owner's copy. */
  readonly path: string;
  readonly note: (text: string) => void;
}

/**
 * The passphrase of a copy that is to be made (`new`), or that is there and opens with it (`known`). A person is asked until it will
 * do; what a file holds is refused as what it is: `passphrase_too_short`, `copy_not_opened`. Throws `file_not_read` where no copy is.
 */
export async function copyPassphrase(kind: 'new' | 'known', deps: PassphraseDeps): Promise<string> {
  const copy = kind === 'new' ? null : await presentCopy(deps.path);
  for (;;) {
    try {
      return await onceAsked(copy, deps);
    } catch (error) {
      if (isLatchkeyError(error, 'cancelled')) throw cancelled(error);
      if (deps.source !== undefined || !isMistyped(error)) throw error;
      deps.note(`${error.message}: once more`);
    }
  }
}

async function onceAsked(copy: string | null, { terminal, source }: PassphraseDeps): Promise<string> {
  if (copy === null) {
    const passphrase = await readNewPassphrase(terminal, source, PASSPHRASE);
    refuseShortPassphrase(passphrase);
    return passphrase;
  }
  const passphrase = await readSecret(terminal, source, PASSPHRASE);
  await openOwnerCopy(copy, passphrase);
  return passphrase;
}

async function presentCopy(path: string): Promise<string> {
  const text = await readCopy(path);
  if (text !== null) return text;
  throw new LatchkeyError('file_not_read', `${path} is not there`, { exit: 2 });
}

function isMistyped(error: unknown): error is LatchkeyError {
  return MISTYPED.some((code) => isLatchkeyError(error, code));
}

function cancelled({ code, message }: LatchkeyError): LatchkeyError {
  return new LatchkeyError(code, message, { hint: 'the same command goes on with it' });
}

import type { Command } from 'commander';
import type { CommandIo } from '../command-io.ts';
import { askSecret } from '../command-line.ts';
import { isLatchkeyError, LatchkeyError } from '../errors.ts';
import { readSecretFile } from '../files.ts';
import { keychainMethod } from './keychain.ts';
import { readShare, readShareLine, shareFromLines, shareLines } from './share-text.ts';
import type { NamedShare } from './shares.ts';
import type { KekHeader, SharesHeader, UnsealMethod } from './unseal.ts';
import {
  credentialMethod,
  keyfileMethod,
  methodWords,
  passphraseFileMethod,
  passphraseMethod,
  unsealOption,
} from './unseal.ts';

export interface UnsealOptions {
  readonly keyfile?: string;
  readonly passphraseFile?: string;
  readonly credential?: string;
  readonly keychain?: string;
  readonly shareFile?: readonly string[];
}

/** Adds the options by which a vault is opened; exactly one may be given. */
export function withUnsealOptions(command: Command): Command {
  return command
    .option('--keyfile <file>', 'open the vault with the 32 bytes in FILE (mode 0600)')
    .option('--passphrase-file <file>', 'open the vault with the passphrase in FILE (mode 0600)')
    .option('--credential <name>', 'open the vault with a systemd credential')
    .option('--keychain <name>', 'open the vault with an item of the macOS keychain')
    .option('--share-file <file...>', 'open the vault with shares, one in each FILE (mode 0600)');
}

/** The method the options name, or `null` when none is given. More than one is a usage error. */
export async function unsealMethodFrom(options: UnsealOptions, io: CommandIo): Promise<UnsealMethod | null> {
  const { keyfile, passphraseFile, credential, keychain, shareFile } = options;
  if ([keyfile, passphraseFile, credential, keychain, shareFile].filter((value) => value !== undefined).length > 1) {
    const all = '--keyfile, --passphrase-file, --credential, --keychain and --share-file';
    throw new LatchkeyError('usage', `only one of ${all} may be given`, { exit: 2 });
  }
  if (keyfile !== undefined) return keyfileMethod(keyfile);
  if (passphraseFile !== undefined) return passphraseFileMethod(passphraseFile);
  if (credential !== undefined) return credentialMethod(credential, io.terminal.env);
  if (keychain !== undefined) return keychainMethod(keychain);
  return shareFile === undefined ? null : sharesFrom(async () => readShareFiles(shareFile));
}

/** The same for a vault that exists: passphrase and shares are asked for when no option is given, any other method must be named. */
export async function unsealMethodFor(
  sealedWith: KekHeader['method'],
  options: UnsealOptions,
  io: CommandIo,
): Promise<UnsealMethod> {
  const named = await unsealMethodFrom(options, io);
  if (named !== null) return named;
  const hint = `use ${unsealOption[sealedWith]}`;
  if (sealedWith === 'passphrase') return passphraseMethod(() => askSecret(io.terminal, 'passphrase', hint));
  if (sealedWith === 'shares' && io.terminal.stdin.isTTY === true) return sharesFrom((header) => askShares(header, io));
  throw new LatchkeyError('usage', `this vault is sealed with ${methodWords[sealedWith]}`, { exit: 2, hint });
}

/** The files of `--share-file`; the package behind `shares.ts` is loaded only where there are shares. */
async function sharesFrom(gather: (header: SharesHeader) => Promise<readonly NamedShare[]>): Promise<UnsealMethod> {
  const { sharesMethod } = await import('./shares.ts');
  return sharesMethod(gather);
}

export function readShareFiles(paths: readonly string[]): readonly NamedShare[] {
  return paths.map((path) => ({ name: path, share: readShare(readSecretFile(path, { max: 4096 }).toString(), path) }));
}

/** Asks for as many shares as the vault wants, line by line; a slip is said at once and asked again. */
async function askShares(header: SharesHeader, io: CommandIo): Promise<readonly NamedShare[]> {
  const { assertShare } = await import('./shares.ts');
  const given: NamedShare[] = [];
  io.terminal.stderr.write(
    `${header.threshold} shares of set ${header.set} are needed; nothing is shown while you type\n`,
  );
  while (given.length < header.threshold) {
    const name = `the ${ordinal(given.length)} share`;
    await again(io, async () => {
      const lines: Buffer[] = [];
      while (lines.length < shareLines)
        await again(io, async () => void lines.push(await askLine(name, lines.length, io)));
      const named = { name, share: shareFromLines(lines, name) };
      assertShare(named, header);
      if (given.some(({ share }) => share.number === named.share.number)) {
        throw new LatchkeyError('share_refused', `share ${named.share.number} was entered already`, { exit: 2 });
      }
      given.push(named);
    });
  }
  return given;
}

async function askLine(name: string, line: number, io: CommandIo): Promise<Buffer> {
  const typed = await askSecret(io.terminal, `${name}, line ${line + 1} of ${shareLines}`, 'use --share-file FILE');
  return readShareLine(typed, line, name);
}

async function again(io: CommandIo, work: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isLatchkeyError(error, 'share_refused')) throw error;
      io.terminal.stderr.write(`${error.message}, once more\n`);
    }
  }
}

function ordinal(index: number): string {
  return ['first', 'second', 'third'][index] ?? `${index + 1}th`;
}

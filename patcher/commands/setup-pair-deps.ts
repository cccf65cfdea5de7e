import { readLocalApp } from '../app-files.ts';
import { readNewPassphrase, readSecret } from '../keys/secret-input.ts';
import type { PairDeps } from '../setup/pair.ts';
import type { SetupConfig } from '../setup/setup-config.ts';
import { type CommandDeps, journalDeps } from './command.ts';
import type { SetupOptions } from './setup-options.ts';

const PASSPHRASE = { name: "the passphrase of the owner's copy", option: '--copy-passphrase-file' };

/** What both commands hand on to the pair. */
export async function pairDeps(
  options: SetupOptions,
  deps: CommandDeps,
  { escrow }: SetupConfig,
  paths: { readonly copyPath: string; readonly fromCopy: string | null },
): Promise<PairDeps> {
  const { terminal, prompter, random } = deps;
  return {
    around: { prompter, env: terminal.env },
    journal: journalDeps(options, deps),
    app: await readLocalApp(deps.appFolder),
    random,
    ...paths,
    copyPassphrase: (kind) => {
      const read = kind === 'new' ? readNewPassphrase : readSecret;
      return read(terminal, escrow.passphraseFile, PASSPHRASE);
    },
  };
}

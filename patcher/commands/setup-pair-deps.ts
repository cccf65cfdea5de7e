import { isLatchkeyError } from '../../platform/errors.ts';
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
  const journal = journalDeps(options, deps);
  return {
    around: { prompter, env: terminal.env },
    journal,
    app: await readLocalApp(deps.appFolder),
    random,
    ...paths,
    isLook: options.dryRun === true,
    copyPassphrase: async (kind) => {
      if (kind === 'known') return readSecret(terminal, escrow.passphraseFile, PASSPHRASE);
      for (;;) {
        try {
          return await readNewPassphrase(terminal, escrow.passphraseFile, PASSPHRASE);
        } catch (error) {
          // whoever mistypes has come a long way, and is asked again; Ctrl-C ends it
          if (!isLatchkeyError(error, 'passphrases_differ')) throw error;
          journal.progress.note(`${error.message}: once more`);
        }
      }
    },
  };
}

import { readLocalApp } from '../app-files.ts';
import { copyPassphrase } from '../keys/copy-passphrase.ts';
import type { PairDeps } from '../setup/pair.ts';
import type { SetupConfig } from '../setup/setup-config.ts';
import { type CommandDeps, journalDeps } from './command.ts';
import type { SetupOptions } from './setup-options.ts';

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
    copyPassphrase: (kind) => {
      const path = kind === 'known' ? (paths.fromCopy ?? paths.copyPath) : paths.copyPath;
      return copyPassphrase(kind, { terminal, source: escrow.passphraseFile, path, note: journal.progress.note });
    },
  };
}

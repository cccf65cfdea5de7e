import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { appendAudit } from '../../platform/audit-chain.ts';
import { type CommandIo, dataCommand } from '../../platform/command-io.ts';
import { askLine, printJson } from '../../platform/command-line.ts';
import { parseInteger } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { createSecretFile } from '../../platform/files.ts';
import { keychainMethod } from '../../platform/vault/keychain.ts';
import { makeKeychainItem, makeKeyfile, newPassphrase } from '../../platform/vault/new-secret.ts';
import { readShare, type Share, shareDocument } from '../../platform/vault/share-text.ts';
import {
  credentialMethod,
  keyfileMethod,
  methodWords,
  mostShares,
  passphraseFileMethod,
  type UnsealMethod,
} from '../../platform/vault/unseal.ts';
import {
  readShareFiles,
  type UnsealOptions,
  unsealMethodFor,
  withUnsealOptions,
} from '../../platform/vault/unseal-options.ts';
import type { Vault } from '../../platform/vault/vault.ts';
import { type Rekeying, rekeyVault, sealMethodOf, unsealVault } from '../../platform/vault/vault-file.ts';
import { type ServerData, withServerData } from '../server-data.ts';

interface VaultOptions extends UnsealOptions {
  readonly data: string;
  readonly json?: boolean;
}

interface RekeyOptions extends VaultOptions {
  readonly newKeyfile?: string;
  readonly newPassphraseFile?: string;
  readonly newCredential?: string;
  readonly newKeychain?: string;
}

interface SplitOptions extends VaultOptions {
  readonly shares: string;
  readonly threshold: string;
  readonly out?: string;
}

/** `vault rekey|split`: another secret for the same vault. A running server goes on and is not asked. */
export function addVaultCommands(program: Command, io: CommandIo): void {
  const vault = program.command('vault').description('the secret that opens the vault');
  withUnsealOptions(dataCommand(vault, 'rekey', 'open the vault by another secret from now on'))
    .option('--new-keyfile <file>', 'the 32 bytes in FILE, which is made when it is not there')
    .option('--new-passphrase-file <file>', 'the passphrase in FILE (mode 0600)')
    .option('--new-credential <name>', 'a systemd credential')
    .option('--new-keychain <name>', 'an item of the macOS keychain, which is made when it is not there')
    .action((options: RekeyOptions) => rekey(options, io));
  withUnsealOptions(dataCommand(vault, 'split', 'open the vault by shares from now on'))
    .requiredOption('--shares <n>', `how many, 2 to ${mostShares}`)
    .requiredOption('--threshold <k>', 'how many of them open the vault, 2 or more')
    .option('--out <dir>', 'write each share to a file of its own in DIR; without it they are printed')
    .action((options: SplitOptions) => splitVault(options, io));
}

function rekey(options: RekeyOptions, io: CommandIo): Promise<void> {
  const method = newMethod(options, io);
  return withOpenVault(options, io, async (data, vault) => {
    const made = makeKeyfile(options.newKeyfile, io);
    await makeKeychainItem(options.newKeychain, io);
    await changeSecret(data, vault, { method }, io);
    if (options.json === true) return printJson(io.terminal, { sealedWith: method.method });
    const words = methodWords[method.method];
    io.terminal.stdout.write(
      `the vault is sealed with ${words} now; the secret before it opens nothing here any more\n`,
    );
    if (made) io.terminal.stderr.write(`keyserver: hint: made ${options.newKeyfile}: keep a copy elsewhere\n`);
    io.terminal.stderr.write('keyserver: hint: backups made before this still open with the secret before it\n');
  });
}

function newMethod(options: RekeyOptions, io: CommandIo): UnsealMethod {
  const { newKeyfile, newPassphraseFile, newCredential, newKeychain } = options;
  if ([newKeyfile, newPassphraseFile, newCredential, newKeychain].filter((one) => one !== undefined).length > 1) {
    throw new LatchkeyError('usage', 'only one new secret may be given', { exit: 2 });
  }
  if (newKeyfile !== undefined) return keyfileMethod(newKeyfile);
  if (newPassphraseFile !== undefined) return passphraseFileMethod(newPassphraseFile);
  if (newCredential !== undefined) return credentialMethod(newCredential, io.terminal.env);
  if (newKeychain !== undefined) return keychainMethod(newKeychain);
  return newPassphrase(
    io,
    'use --new-passphrase-file FILE, --new-keyfile FILE, --new-credential NAME or --new-keychain NAME',
  );
}

function splitVault(options: SplitOptions, io: CommandIo): Promise<void> {
  const count = parseInteger(options.shares, '--shares', { min: 2, max: mostShares });
  const threshold = parseInteger(options.threshold, '--threshold', { min: 2, max: count });
  return withOpenVault(options, io, async (data, vault) => {
    const { newShareSet, sharesMethod } = await import('../../platform/vault/shares.ts');
    const { shares, method } = await newShareSet(count, threshold, io.random);
    const kept = options.out === undefined ? await printShares(shares, options, io) : writeShares(shares, options.out);
    // opened with the last ones, from what was written down: the shares that are told are the shares that open
    const readBack = sharesMethod(async () => kept.slice(-threshold));
    await changeSecret(data, vault, { method, readBack }, io);
    const said = `any ${threshold} of these ${count} shares open the vault now; the secret before them opens nothing here any more`;
    if (options.json !== true) io.terminal.stdout.write(`${said}\n`);
  });
}

/** On a terminal somebody has to say that they are written down before the vault wants them. */
async function printShares(shares: readonly Share[], options: SplitOptions, io: CommandIo) {
  const texts = shares.map((share) => shareDocument(share, shares.length));
  if (options.json === true) printJson(io.terminal, { set: shares[0]?.set, shares: texts });
  else io.terminal.stdout.write(`${texts.join('\n')}\n`);
  if (io.terminal.stdin.isTTY === true) {
    const answer = await askLine(io.terminal, 'type "yes" once each is written down', 'use --out DIR');
    if (answer.trim() !== 'yes')
      throw new LatchkeyError('cancelled', 'the vault is as it was, these shares open nothing');
  }
  return texts.map((text, index) => ({ name: `share ${index + 1}`, share: readShare(text, `share ${index + 1}`) }));
}

function writeShares(shares: readonly Share[], directory: string) {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const files = shares.map((share) => join(directory, `share-${share.number}-of-set-${share.set}.txt`));
  shares.forEach((share, index) => {
    createSecretFile(files[index] ?? '', shareDocument(share, shares.length));
  });
  return readShareFiles(files);
}

function changeSecret(
  data: ServerData,
  vault: Vault,
  rekeying: Omit<Rekeying, 'record'>,
  io: CommandIo,
): Promise<void> {
  const record = async () => {
    const detail = { was: await sealMethodOf(data.directory), sealed_with: rekeying.method.method };
    await data.store.transaction((tx) => appendAudit(tx, { time: io.clock.now(), event: 'vault_rekeyed', detail }));
  };
  return rekeyVault(data.directory, vault, { ...rekeying, record }, io.random);
}

function withOpenVault(
  options: VaultOptions,
  io: CommandIo,
  work: (data: ServerData, vault: Vault) => Promise<void>,
): Promise<void> {
  return withServerData(options.data, async (data) => {
    const method = await unsealMethodFor(await sealMethodOf(data.directory), options, io);
    await work(data, await unsealVault(data.directory, method, io.random));
  });
}

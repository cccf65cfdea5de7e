import type { Command } from 'commander';
import { appendAudit } from '../../platform/audit-chain.ts';
import { type CommandIo, dataCommand } from '../../platform/command-io.ts';
import { askSecret, printJson } from '../../platform/command-line.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { createSecretFile, readSecretFile } from '../../platform/files.ts';
import { newPassphrase } from '../../platform/vault/new-secret.ts';
import { passphraseFileMethod, passphraseMethod, type UnsealMethod } from '../../platform/vault/unseal.ts';
import { type UnsealOptions, unsealMethodFor, withUnsealOptions } from '../../platform/vault/unseal-options.ts';
import type { Vault } from '../../platform/vault/vault.ts';
import { sealMethodOf, unsealVault } from '../../platform/vault/vault-file.ts';
import { newPaperSeal, type PaperKey, paperCodes, scannedKeys } from '../backup/paper.ts';
import { keyItem } from '../clients/client.ts';
import { findClient } from '../clients/client-admin.ts';
import { type ServerData, withServerData } from '../server-data.ts';

interface PaperOptions extends UnsealOptions {
  readonly data: string;
  readonly out: string;
  readonly client?: string;
  readonly paperPassphraseFile?: string;
  readonly plain?: boolean;
  readonly json?: boolean;
}

const hint = 'use --paper-passphrase-file FILE, or --plain';

/** `key paper`: the stored keys as a page of QR codes. */
export function addPaperCommand(key: Command, io: CommandIo): void {
  withUnsealOptions(dataCommand(key, 'paper', 'write the stored keys as a page to print, in QR codes'))
    .requiredOption('--out <file>', 'the HTML file, which must not exist (mode 0600)')
    .option('--client <name>', 'the keys of this client only')
    .option('--paper-passphrase-file <file>', 'seal them with the passphrase in FILE (mode 0600); asked for without it')
    .option('--plain', 'as they are stored, without a passphrase of the paper’s own')
    .action((options: PaperOptions) => paper(options, io));
}

function paper(options: PaperOptions, io: CommandIo): Promise<void> {
  if (options.plain === true && options.paperPassphraseFile !== undefined) {
    throw new LatchkeyError('usage', 'only one of --plain and --paper-passphrase-file may be given', { exit: 2 });
  }
  return withServerData(options.data, async (data) => {
    const unseal = await unsealMethodFor(await sealMethodOf(data.directory), options, io);
    const vault = await unsealVault(data.directory, unseal, io.random);
    const seal = options.plain === true ? null : await newPaperSeal(sealMethod(options, io), io.random);
    const keys = await takeKeys(data, vault, options.client, seal !== null, io);
    const sections = keys.map((key) => ({ key, codes: paperCodes(key, seal, io.random) }));
    const { paperPage } = await import('../backup/paper-page.ts');
    const facts = { url: data.config.url, madeAt: io.clock.now(), isSealed: seal !== null, sections };
    createSecretFile(options.out, await paperPage(facts));
    const codes = sections.reduce((sum, section) => sum + section.codes.length, 0);
    if (options.json === true) {
      printJson(io.terminal, { file: options.out, sealed: seal !== null, keys: keys.length, codes });
    } else {
      io.terminal.stdout.write(`wrote ${keys.length} keys in ${codes} codes to ${options.out}\n`);
    }
    const say = (text: string): void => void io.terminal.stderr.write(`keyserver: hint: ${text}\n`);
    if (seal === null) say('the keys are in plain on it, still locked with each Nextcloud’s "secret"');
    say('print it, scan one code to see that it can be read, then delete the file');
  });
}

function sealMethod({ paperPassphraseFile }: PaperOptions, io: CommandIo): UnsealMethod {
  return paperPassphraseFile === undefined ? newPassphrase(io, hint) : passphraseFileMethod(paperPassphraseFile);
}

/** Reads the keys and puts that on record, client by client. */
async function takeKeys(
  { store }: ServerData,
  vault: Vault,
  name: string | undefined,
  sealed: boolean,
  io: CommandIo,
): Promise<readonly PaperKey[]> {
  const rows = await store.transaction(async (tx) => {
    const wanted = name === undefined ? null : (await findClient(tx, name)).id;
    const query = tx
      .selectFrom('stored_key')
      .innerJoin('client', 'client.id', 'stored_key.client_id')
      .select(['client.name', 'client_id', 'key_id', 'sealed'])
      .orderBy('client.name')
      .orderBy('key_id');
    const found = await (wanted === null ? query : query.where('client_id', '=', wanted)).execute();
    for (const client of new Set(found.map((row) => row.client_id))) {
      const keys = found.filter((row) => row.client_id === client).map((row) => row.key_id);
      await appendAudit(tx, { time: io.clock.now(), event: 'keys_put_on_paper', client, keys, detail: { sealed } });
    }
    return found;
  });
  if (rows.length === 0) {
    throw new LatchkeyError('key_unknown', 'there is no key to put on paper', { hint: 'see keyserver key list' });
  }
  return rows.map((row) => ({
    client: row.name,
    id: row.key_id,
    bytes: vault.open(keyItem(row.client_id, row.key_id), row.sealed),
  }));
}

/** The bytes of key `id` out of the scanned codes in a file; where two clients have a key of that id, the one of `name`. */
export async function keyFromPaper(
  path: string,
  name: string,
  id: string,
  passphraseFile: string | undefined,
  io: CommandIo,
): Promise<Buffer> {
  const keys = scannedKeys(readSecretFile(path, { max: 16 * 1_048_576 }).toString('utf8'));
  const found = keys.filter((one) => one.id === id);
  const key = found.length > 1 ? found.find((one) => one.client === name) : found[0];
  if (key === undefined) {
    throw new LatchkeyError('paper_refused', `${path} has no codes of ${id}`, {
      exit: 2,
      hint: `it has those of ${keys.map((one) => one.id).join(', ')}`,
    });
  }
  const askHint = 'use --paper-passphrase-file FILE';
  return key.open(
    passphraseFile === undefined
      ? passphraseMethod(() => askSecret(io.terminal, 'passphrase of the paper', askHint))
      : passphraseFileMethod(passphraseFile),
  );
}

import { readFileSync, statSync } from 'node:fs';
import type { Command } from 'commander';
import type { Kysely } from 'kysely';
import { appendAudit } from '../../platform/audit-chain.ts';
import { type CommandIo, dataCommand, showTime } from '../../platform/command-io.ts';
import { printJson, printTable } from '../../platform/command-line.ts';
import { sha256 } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { createSecretFile } from '../../platform/files.ts';
import { parseInput } from '../../platform/schema.ts';
import { type UnsealOptions, unsealMethodFor, withUnsealOptions } from '../../platform/vault/unseal-options.ts';
import type { Vault } from '../../platform/vault/vault.ts';
import { sealMethodOf, unsealVault } from '../../platform/vault/vault-file.ts';
import { keyItem } from '../clients/client.ts';
import { findClient } from '../clients/client-admin.ts';
import type { Database } from '../schema.ts';
import { withServerData } from '../server-data.ts';
import { keyBytesLimit, keyId as keyIdSchema } from '../wire.ts';
import { addPaperCommand, keyFromPaper } from './paper.ts';

interface DataOptions extends UnsealOptions {
  readonly data: string;
  readonly json?: boolean;
}

interface ImportOptions extends DataOptions {
  readonly file?: string;
  readonly paper?: string;
  readonly paperPassphraseFile?: string;
}

/** `key list|import|export|paper`: all but the first open the vault themselves, whether or not a server runs beside them. */
export function addKeyCommands(program: Command, io: CommandIo): void {
  const key = program.command('key').description('the keys that are kept');
  dataCommand(key, 'list [client]', 'list the stored keys').action((client: string | undefined, options: DataOptions) =>
    list(client, options, io),
  );
  withUnsealOptions(dataCommand(key, 'import <client> <id>', 'store a key for a client'))
    .option('--file <file>', 'file with the bytes of the key, as they lie on the Nextcloud host')
    .option('--paper <file>', 'file with the scanned codes of a paper copy, one a line (mode 0600)')
    .option('--paper-passphrase-file <file>', 'the passphrase of that paper, in FILE (mode 0600); asked for without it')
    .action((client: string, id: string, options: ImportOptions) => importKey(client, id, options, io));
  withUnsealOptions(dataCommand(key, 'export <client> <id>', 'print a stored key, or write it to a new file'))
    .option('--out <file>', 'write the bytes to FILE, which must not exist (mode 0600)')
    .action((client: string, id: string, options: DataOptions & { out?: string }) =>
      exportKey(client, id, options, io),
    );
  addPaperCommand(key, io);
}

function list(name: string | undefined, options: DataOptions, io: CommandIo): Promise<void> {
  return withServerData(options.data, async ({ store }) => {
    const rows = await store.read(async (tx) => {
      const wanted = name === undefined ? null : (await findClient(tx, name)).id;
      const query = tx
        .selectFrom('stored_key')
        .innerJoin('client', 'client.id', 'stored_key.client_id')
        .select(['client.name', 'client.id', 'stored_key.key_id', 'stored_key.created_at'])
        .orderBy('client.name')
        .orderBy('stored_key.key_id');
      return (wanted === null ? query : query.where('client.id', '=', wanted)).execute();
    });
    if (options.json === true) {
      const keys = rows.map((row) => ({
        client: row.name,
        clientId: row.id,
        id: row.key_id,
        storedAt: row.created_at,
      }));
      return printJson(io.terminal, { keys });
    }
    if (rows.length === 0) return void io.terminal.stderr.write('keyserver: hint: no keys are stored yet\n');
    printTable(
      io.terminal,
      ['CLIENT', 'KEY', 'STORED'],
      rows.map((row) => [row.name, row.key_id, showTime(row.created_at)]),
    );
  });
}

async function importKey(name: string, id: string, options: ImportOptions, io: CommandIo): Promise<void> {
  const keyId = keyIdFrom(id);
  const bytes = await bytesFrom(options, name, keyId, io);
  return withServerData(options.data, async ({ directory, store }) => {
    const vault = await openVault(directory, options, io);
    const stored = await store.transaction((tx) => storeKey(tx, vault, name, keyId, bytes, io.clock.now()));
    const digest = sha256(bytes).toString('hex');
    if (options.json === true) printJson(io.terminal, { client: name, id: keyId, sha256: digest, stored });
    else io.terminal.stdout.write(`${stored ? 'stored' : 'already stored'} ${keyId} of ${name}, sha256 ${digest}\n`);
  });
}

/** True when the key is new, false when these very bytes are there; other bytes are never overwritten (`key_exists`). */
async function storeKey(
  tx: Kysely<Database>,
  vault: Vault,
  name: string,
  keyId: string,
  bytes: Buffer,
  now: number,
): Promise<boolean> {
  const client = (await findClient(tx, name)).id;
  const present = await findKey(tx, client, keyId);
  if (present !== undefined) {
    if (vault.open(keyItem(client, keyId), present).equals(bytes)) return false;
    throw new LatchkeyError('key_exists', `${keyId} of ${name} holds other bytes, and is never overwritten`, {
      exit: 3,
    });
  }
  const sealed = vault.seal(keyItem(client, keyId), bytes);
  await tx.insertInto('stored_key').values({ client_id: client, key_id: keyId, sealed, created_at: now }).execute();
  await appendAudit(tx, { time: now, event: 'key_imported', client, keys: [keyId] });
  return true;
}

function exportKey(name: string, id: string, options: DataOptions & { out?: string }, io: CommandIo): Promise<void> {
  const keyId = keyIdFrom(id);
  return withServerData(options.data, async ({ directory, store }) => {
    const vault = await openVault(directory, options, io);
    const bytes = await store.transaction(async (tx) => {
      const client = (await findClient(tx, name)).id;
      const sealed = await findKey(tx, client, keyId);
      if (sealed === undefined) {
        throw new LatchkeyError('key_unknown', 'that client has no such key', { hint: 'see keyserver key list' });
      }
      await appendAudit(tx, { time: io.clock.now(), event: 'key_exported', client, keys: [keyId] });
      return vault.open(keyItem(client, keyId), sealed);
    });
    const digest = sha256(bytes).toString('hex');
    if (options.out !== undefined) createSecretFile(options.out, bytes);
    if (options.json === true) {
      const where = options.out === undefined ? { key: bytes.toString('base64') } : { file: options.out };
      return printJson(io.terminal, { client: name, id: keyId, sha256: digest, ...where });
    }
    if (options.out === undefined) io.terminal.stdout.write(bytes);
    else io.terminal.stdout.write(`wrote ${keyId} of ${name} to ${options.out}, sha256 ${digest}\n`);
  });
}

async function openVault(directory: string, options: UnsealOptions, io: CommandIo): Promise<Vault> {
  const method = await unsealMethodFor(await sealMethodOf(directory), options, io);
  return unsealVault(directory, method, io.random);
}

async function findKey(tx: Kysely<Database>, client: string, keyId: string): Promise<Uint8Array | undefined> {
  const row = await tx
    .selectFrom('stored_key')
    .select('sealed')
    .where('client_id', '=', client)
    .where('key_id', '=', keyId)
    .executeTakeFirst();
  return row?.sealed;
}

function keyIdFrom(text: string): string {
  try {
    return parseInput(keyIdSchema, text);
  } catch (cause) {
    throw new LatchkeyError('invalid_request', '"ID" must be 1 to 128 of A-Z a-z 0-9 . _ - and not start with a dot', {
      exit: 2,
      field: 'ID',
      cause,
    });
  }
}

async function bytesFrom(
  { file, paper, paperPassphraseFile }: ImportOptions,
  name: string,
  keyId: string,
  io: CommandIo,
): Promise<Buffer> {
  if (file !== undefined && paper === undefined) return readKey(file);
  if (paper !== undefined && file === undefined) return keyFromPaper(paper, name, keyId, paperPassphraseFile, io);
  throw new LatchkeyError('usage', 'give either --file or --paper', { exit: 2 });
}

function readKey(path: string): Buffer {
  try {
    const { size } = statSync(path);
    if (size > 0 && size <= keyBytesLimit) return readFileSync(path);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown';
    throw new LatchkeyError('file_not_read', `${path} could not be read (${code})`, { cause });
  }
  throw new LatchkeyError('invalid_request', `"--file" must hold 1 to ${keyBytesLimit} bytes`, {
    exit: 2,
    field: '--file',
  });
}

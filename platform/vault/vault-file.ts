import { rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import type { RandomBytes } from '../clock.ts';
import { decodeBase64 } from '../encoding.ts';
import { LatchkeyError } from '../errors.ts';
import { createSecretFile, writeFileAtomic } from '../files.ts';
import { parseInput } from '../schema.ts';
import { type KekHeader, kekHeaderSchema, methodWords, type UnsealMethod } from './unseal.ts';
import { Vault } from './vault.ts';

const schema = z.strictObject({
  version: z.literal(1),
  kek: kekHeaderSchema,
  wrapped: z.string().refine((text) => decodeBase64(text, { max: 128 }) !== null, 'must be base64'),
});

type VaultDocument = z.infer<typeof schema>;

/** `vault.json` in a data directory. */
export function vaultFile(directory: string): string {
  return join(directory, 'vault.json');
}

/** A vault that is not on disk yet, and the text of its file. */
export interface NewVault {
  readonly vault: Vault;
  readonly file: string;
}

/** Makes a vault; nothing is written, so that a secret that cannot be had leaves nothing behind. */
export async function makeVault(method: UnsealMethod, random: RandomBytes): Promise<NewVault> {
  const vault = Vault.create(random);
  return { vault, file: await fileText(vault, method, random) };
}

async function fileText(vault: Vault, method: UnsealMethod, random: RandomBytes): Promise<string> {
  const kek = method.newHeader(random);
  const wrapped = vault.wrap(await method.kekOf(kek), headerText(kek));
  return `${JSON.stringify({ version: 1, kek, wrapped: wrapped.toString('base64') }, null, 2)}\n`;
}

/** Writes its file, exclusively: a vault that exists is never replaced. */
export function storeVault(directory: string, { file }: NewVault): void {
  createSecretFile(vaultFile(directory), file);
}

/** Opens the vault of a data directory. Throws `unseal_failed` for the wrong secret, `vault_damaged` for a broken file. */
export function unsealVault(directory: string, method: UnsealMethod, random: RandomBytes): Promise<Vault> {
  return unsealFile(vaultFile(directory), method, random);
}

/** Opens a vault out of the text of another server's `vault.json`; to be stored as it is. */
export async function reopenVault(file: string, method: UnsealMethod, random: RandomBytes): Promise<NewVault> {
  return { vault: await unsealDocument(parseVaultFile(file), method, random), file };
}

/** How the vault of such a text is opened. */
export function sealMethodIn(file: string): KekHeader['method'] {
  return parseVaultFile(file).kek.method;
}

async function unsealFile(path: string, method: UnsealMethod, random: RandomBytes): Promise<Vault> {
  return unsealDocument(await readVaultFile(path), method, random);
}

async function unsealDocument(document: VaultDocument, method: UnsealMethod, random: RandomBytes): Promise<Vault> {
  const kek = await method.kekOf(document.kek);
  const wrapped = Buffer.from(document.wrapped, 'base64');
  const vault = Vault.unwrap(wrapped, kek, headerText(document.kek), random);
  if (vault !== null) return vault;
  const these = document.kek.method === 'shares' ? 'these' : 'this';
  const verb = document.kek.method === 'shares' ? 'do' : 'does';
  const words = methodWords[document.kek.method].replace(/^a /, '');
  throw new LatchkeyError('unseal_failed', `${these} ${words} ${verb} not open the vault`, {
    hint: 'check that it is the one this data directory was made with',
  });
}

/** What a change of the unseal secret needs. */
export interface Rekeying {
  readonly method: UnsealMethod;
  /** Opens what `method` sealed, from what its keeper now has; `method` itself unless told. */
  readonly readBack?: UnsealMethod;
  /** Puts the change on record; the old secret ends after it. */
  readonly record: () => Promise<unknown>;
}

/**
 * Wraps the same data key under another secret: nothing that is sealed changes, and a running server goes on. The new
 * file is written beside the old one, read back and opened before it takes the old one's place, in one step.
 */
export async function rekeyVault(
  directory: string,
  vault: Vault,
  rekeying: Rekeying,
  random: RandomBytes,
): Promise<void> {
  const file = await fileText(vault, rekeying.method, random);
  const candidate = `${vaultFile(directory)}.rekey`;
  createSecretFile(candidate, file);
  try {
    const again = await unsealFile(candidate, rekeying.readBack ?? rekeying.method, random);
    const probe = { kind: 'probe', client: '', id: 'rekey', version: 1 };
    again.open(probe, vault.seal(probe, Buffer.from('the same data key')));
    await rekeying.record();
    writeFileAtomic(vaultFile(directory), file, { mode: 0o600 });
  } finally {
    rmSync(candidate, { force: true });
  }
}

/** How the vault of a data directory is opened. */
export async function sealMethodOf(directory: string): Promise<KekHeader['method']> {
  return (await readVaultFile(vaultFile(directory))).kek.method;
}

async function readVaultFile(path: string): Promise<VaultDocument> {
  return parseVaultFile(await readFile(path, 'utf8'));
}

function parseVaultFile(text: string): VaultDocument {
  try {
    return parseInput(schema, JSON.parse(text));
  } catch (cause) {
    throw new LatchkeyError('vault_damaged', 'vault.json is not one this version can read', {
      cause,
      hint: 'restore it from a backup; without it nothing in the database opens',
    });
  }
}

/** One spelling of the header, whatever the order of its members in the file. */
function headerText(header: KekHeader): string {
  return JSON.stringify(Object.entries(header).sort(([a], [b]) => (a < b ? -1 : 1)));
}

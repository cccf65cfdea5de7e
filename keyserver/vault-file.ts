import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import type { RandomBytes } from '../platform/clock.ts';
import { decodeBase64 } from '../platform/encoding.ts';
import { LatchkeyError } from '../platform/errors.ts';
import { createSecretFile } from '../platform/files.ts';
import { parseInput } from '../platform/schema.ts';
import { type KekHeader, kekHeaderSchema, type UnsealMethod } from './unseal.ts';
import { Vault } from './vault.ts';

const schema = z.strictObject({
  version: z.literal(1),
  kek: kekHeaderSchema,
  wrapped: z.string().refine((text) => decodeBase64(text, { max: 128 }) !== null, 'must be base64'),
});

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
  const kek = method.newHeader(random);
  const wrapped = vault.wrap(await method.kekOf(kek), headerText(kek));
  const document = { version: 1, kek, wrapped: wrapped.toString('base64') };
  return { vault, file: `${JSON.stringify(document, null, 2)}\n` };
}

/** Writes its file, exclusively: a vault that exists is never replaced. */
export function storeVault(directory: string, { file }: NewVault): void {
  createSecretFile(vaultFile(directory), file);
}

/** Opens the vault of a data directory. Throws `unseal_failed` for the wrong secret, `vault_damaged` for a broken file. */
export async function unsealVault(directory: string, method: UnsealMethod, random: RandomBytes): Promise<Vault> {
  const document = await readVaultFile(directory);
  const kek = await method.kekOf(document.kek);
  const wrapped = Buffer.from(document.wrapped, 'base64');
  const vault = Vault.unwrap(wrapped, kek, headerText(document.kek), random);
  if (vault !== null) return vault;
  throw new LatchkeyError('unseal_failed', `this ${document.kek.method} does not open the vault`, {
    hint: 'check that it is the one this data directory was made with',
  });
}

/** How the vault of a data directory is opened. */
export async function sealMethodOf(directory: string): Promise<KekHeader['method']> {
  return (await readVaultFile(directory)).kek.method;
}

async function readVaultFile(directory: string): Promise<z.infer<typeof schema>> {
  const text = await readFile(vaultFile(directory), 'utf8');
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

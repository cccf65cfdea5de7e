import type { CommandIo } from '../../platform/command-io.ts';
import { type UnsealOptions, unsealMethodFor } from '../../platform/vault/unseal-options.ts';
import type { Vault } from '../../platform/vault/vault.ts';
import { sealMethodOf, unsealVault } from '../../platform/vault/vault-file.ts';
import type { HubData } from '../data/hub-data.ts';

/** The vault of an opened hub, by the options of a command or by asking. */
export async function openVault(data: HubData, options: UnsealOptions, io: CommandIo): Promise<Vault> {
  const method = await unsealMethodFor(await sealMethodOf(data.directory), options, io);
  return unsealVault(data.directory, method, io.random);
}

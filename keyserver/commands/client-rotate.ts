import type { Command } from 'commander';
import { type CommandIo, dataCommand } from '../../platform/command-io.ts';
import { printJson } from '../../platform/command-line.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { type UnsealOptions, unsealMethodFor, withUnsealOptions } from '../../platform/vault/unseal-options.ts';
import { sealMethodOf, unsealVault } from '../../platform/vault/vault-file.ts';
import { findClient } from '../clients/client-admin.ts';
import { beginRotation, cancelRotation } from '../clients/rotation.ts';
import { withServerData } from '../server-data.ts';

interface RotateOptions extends UnsealOptions {
  readonly data: string;
  readonly token?: boolean;
  readonly totp?: boolean;
  readonly cancel?: boolean;
  readonly json?: boolean;
}

/** `client rotate`: new secrets that the client fetches by itself, the old ones good until it uses them. */
export function addRotateCommand(client: Command, io: CommandIo): void {
  withUnsealOptions(dataCommand(client, 'rotate <name>', 'give it new secrets with its next release, without a gap'))
    .option('--token', 'a new token')
    .option('--totp', 'a new TOTP secret')
    .option('--cancel', 'withdraw new secrets that it did not use yet')
    .action((name: string, options: RotateOptions) => rotate(name, options, io));
}

function rotate(name: string, options: RotateOptions, io: CommandIo): Promise<void> {
  const wanted = { token: options.token === true, totp: options.totp === true };
  if ((wanted.token || wanted.totp) === (options.cancel === true)) {
    throw new LatchkeyError('usage', 'give --token, --totp or both, or else --cancel', { exit: 2 });
  }
  return options.cancel === true ? cancel(name, options, io) : begin(name, wanted, options, io);
}

function begin(
  name: string,
  wanted: { readonly token: boolean; readonly totp: boolean },
  options: RotateOptions,
  io: CommandIo,
): Promise<void> {
  return withServerData(options.data, async ({ directory, store }) => {
    const method = await unsealMethodFor(await sealMethodOf(directory), options, io);
    const vault = await unsealVault(directory, method, io.random);
    await store.transaction(async (tx) =>
      beginRotation(tx, vault, await findClient(tx, name), wanted, io.clock.now(), io.random),
    );
    if (options.json === true) return printJson(io.terminal, { rotating: name, ...wanted });
    const what = [wanted.token ? 'token' : '', wanted.totp ? 'TOTP secret' : '']
      .filter((word) => word !== '')
      .join(' and ');
    io.terminal.stdout.write(
      `${name} is told its new ${what} with its next release; what it has now is good until it uses them\n`,
    );
  });
}

function cancel(name: string, options: RotateOptions, io: CommandIo): Promise<void> {
  return withServerData(options.data, async ({ store }) => {
    const cancelled = await store.transaction(async (tx) =>
      cancelRotation(tx, await findClient(tx, name), io.clock.now()),
    );
    if (options.json === true) return printJson(io.terminal, { client: name, cancelled });
    io.terminal.stdout.write(cancelled ? `${name} keeps its secrets\n` : `nothing was under way for ${name}\n`);
  });
}

import type { Command } from 'commander';
import { totpText, totpUri } from '../../platform/authenticator.ts';
import { type CommandIo, dataCommand, showTime } from '../../platform/command-io.ts';
import { printJson, printTable } from '../../platform/command-line.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { newPassword, type PasswordOptions, withPasswordOption } from '../../platform/new-password.ts';
import { hashPassword } from '../../platform/password.ts';
import { parseInput } from '../../platform/schema.ts';
import { type UnsealOptions, unsealMethodFor, withUnsealOptions } from '../../platform/vault/unseal-options.ts';
import type { Vault } from '../../platform/vault/vault.ts';
import { sealMethodOf, unsealVault } from '../../platform/vault/vault-file.ts';
import { addAdmin, adminName, findAdmin, listAdmins, removeAdmin, renewTotp, setPassword } from '../admin/accounts.ts';
import type { ServerData } from '../server-data.ts';
import { withServerData } from '../server-data.ts';

interface AdminOptions extends UnsealOptions, PasswordOptions {
  readonly data: string;
  readonly json?: boolean;
}

/** `admin add|list|password|totp|remove`: who may use the pages. Sessions of a changed administrator end at once. */
export function addAdminCommands(program: Command, io: CommandIo): void {
  const admin = program.command('admin').description('the people who may use the pages');
  const addCommand = dataCommand(admin, 'add <name>', 'add an administrator and show the secret for codes, once');
  withPasswordOption(withUnsealOptions(addCommand)).action((name: string, options: AdminOptions) =>
    add(name, options, io),
  );
  dataCommand(admin, 'list', 'list the administrators').action((options: AdminOptions) => list(options, io));
  withPasswordOption(dataCommand(admin, 'password <name>', 'set another password')).action(
    (name: string, options: AdminOptions) => password(name, options, io),
  );
  withUnsealOptions(dataCommand(admin, 'totp <name>', 'make a new secret for codes and show it, once')).action(
    (name: string, options: AdminOptions) => totp(name, options, io),
  );
  dataCommand(admin, 'remove <name>', 'take an administrator away').action((name: string, options: AdminOptions) =>
    remove(name, options, io),
  );
}

function add(text: string, options: AdminOptions, io: CommandIo): Promise<void> {
  const name = nameFrom(text);
  return withServerData(options.data, async (server) => {
    const present = await server.store.read((tx) => findAdmin(tx, name));
    if (present !== null) {
      throw new LatchkeyError('admin_exists', `there is an administrator named ${name} already`, {
        hint: 'see keyserver admin password and keyserver admin totp',
      });
    }
    const vault = await openVault(server, options, io);
    const passwordHash = await hashPassword(await newPassword(options, io), io.random);
    const wanted = { name, passwordHash };
    const secret = await server.store.transaction((tx) => addAdmin(tx, vault, wanted, io.clock.now(), io.random));
    await printSecret(`added administrator ${name}`, name, secret, server, options, io);
  });
}

function list(options: AdminOptions, io: CommandIo): Promise<void> {
  return withServerData(options.data, async ({ store }) => {
    const admins = await store.read(listAdmins);
    if (options.json === true) return printJson(io.terminal, { admins });
    if (admins.length === 0) {
      return void io.terminal.stderr.write('keyserver: hint: nobody may use the pages yet; see admin add\n');
    }
    printTable(
      io.terminal,
      ['NAME', 'ADDED', 'CHANGED', 'USED'],
      admins.map((admin) => [admin.name, showTime(admin.createdAt), showTime(admin.changedAt), showTime(admin.usedAt)]),
    );
  });
}

function password(name: string, options: AdminOptions, io: CommandIo): Promise<void> {
  return withServerData(options.data, async ({ store }) => {
    const hash = await hashPassword(await newPassword(options, io), io.random);
    await store.transaction((tx) => setPassword(tx, name, hash, io.clock.now()));
    if (options.json === true) printJson(io.terminal, { changed: name });
    else io.terminal.stdout.write(`changed the password of ${name}; sessions of before are over\n`);
  });
}

function totp(name: string, options: AdminOptions, io: CommandIo): Promise<void> {
  return withServerData(options.data, async (server) => {
    const vault = await openVault(server, options, io);
    const secret = await server.store.transaction((tx) => renewTotp(tx, vault, name, io.clock.now(), io.random));
    await printSecret(`made a new secret for ${name}; the one before is over`, name, secret, server, options, io);
  });
}

function remove(name: string, options: AdminOptions, io: CommandIo): Promise<void> {
  return withServerData(options.data, async ({ store }) => {
    await store.transaction((tx) => removeAdmin(tx, name, io.clock.now()));
    if (options.json === true) printJson(io.terminal, { removed: name });
    else io.terminal.stdout.write(`removed administrator ${name}; sessions of before are over\n`);
  });
}

/** The secret as text, as an address that authenticator apps read, and on a terminal as a picture of that address. */
async function printSecret(
  headline: string,
  name: string,
  secret: string,
  { config }: ServerData,
  options: AdminOptions,
  io: CommandIo,
): Promise<void> {
  const uri = totpUri(name, config.hosts[0] ?? config.listen.host, secret);
  const url = `${config.url}/admin`;
  if (options.json === true) return printJson(io.terminal, { name, totpSecret: secret, totpUri: uri, url });
  io.terminal.stdout.write(`${headline}\n\n${await totpText(secret, uri, io.terminal)}pages   ${url}\n`);
}

async function openVault({ directory }: ServerData, options: AdminOptions, io: CommandIo): Promise<Vault> {
  return unsealVault(directory, await unsealMethodFor(await sealMethodOf(directory), options, io), io.random);
}

function nameFrom(text: string): string {
  try {
    return parseInput(adminName, text);
  } catch (cause) {
    const words = 'must be 1 to 63 of a-z 0-9 . _ - and start with a letter or digit';
    throw new LatchkeyError('invalid_request', `"NAME" ${words}`, { exit: 2, field: 'NAME', cause });
  }
}

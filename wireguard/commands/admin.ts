import { type Command, Option } from 'commander';
import * as z from 'zod';
import { totpText, totpUri } from '../../platform/authenticator.ts';
import { type CommandIo, dataCommand, showTime } from '../../platform/command-io.ts';
import { printJson, printTable } from '../../platform/command-line.ts';
import { newPassword, type PasswordOptions, withPasswordOption } from '../../platform/new-password.ts';
import { hashPassword } from '../../platform/password.ts';
import { parseInput } from '../../platform/schema.ts';
import { type UnsealOptions, withUnsealOptions } from '../../platform/vault/unseal-options.ts';
import { accessName } from '../access/access-name.ts';
import {
  addAccount,
  assertNewAccount,
  listAccounts,
  logOutAccount,
  ROLES,
  removeAccount,
  renewTotp,
  setPassword,
  setRole,
} from '../access/accounts.ts';
import { type HubData, withHubData } from '../data/hub-data.ts';
import { servingUrl } from '../front/hub-url.ts';
import { COMMAND } from '../hub/actor.ts';
import type { Role } from '../store/schema.ts';
import { openVault } from './open-vault.ts';

interface AdminOptions extends UnsealOptions, PasswordOptions {
  readonly data: string;
  readonly role: Role;
  readonly json?: boolean;
}

/** `admin add|list|password|totp|role|logout|remove`: the people who may log in. Sessions of a changed account end at once. */
export function addAdminCommands(program: Command, io: CommandIo): void {
  const admin = program.command('admin').description('the people who may log in');
  const addCommand = dataCommand(admin, 'add <name>', 'add an account and show its secret for codes, once').addOption(
    new Option('--role <role>', 'what the account may do').choices(ROLES).default('admin'),
  );
  withPasswordOption(withUnsealOptions(addCommand)).action((name: string, options: AdminOptions) =>
    add(name, options, io),
  );
  dataCommand(admin, 'list', 'list the accounts').action((options: AdminOptions) => list(options, io));
  withPasswordOption(dataCommand(admin, 'password <name>', 'set another password')).action(
    (name: string, options: AdminOptions) => password(name, options, io),
  );
  withUnsealOptions(dataCommand(admin, 'totp <name>', 'make a new secret for codes and show it, once')).action(
    (name: string, options: AdminOptions) => totp(name, options, io),
  );
  dataCommand(admin, 'role <name> <role>', `give another role: ${ROLES.join(', ')}`).action(
    (name: string, role: string, options: AdminOptions) => changeRole(name, role, options, io),
  );
  dataCommand(admin, 'logout <name>', 'end the sessions of an account, and change nothing else').action(
    (name: string, options: AdminOptions) => logOut(name, options, io),
  );
  dataCommand(admin, 'remove <name>', 'take an account away').action((name: string, options: AdminOptions) =>
    remove(name, options, io),
  );
}

function add(text: string, options: AdminOptions, io: CommandIo): Promise<void> {
  const { NAME: name } = parseInput(z.strictObject({ NAME: accessName }), { NAME: text });
  const { role } = options;
  return withHubData(options.data, io.terminal.env, async (data) => {
    await data.store.read((db) => assertNewAccount(db, name)); // before anything is asked for
    const vault = await openVault(data, options, io);
    const passwordHash = await hashPassword(await newPassword(options, io), io.random);
    const wanted = { name, role, passwordHash };
    const secret = await data.store.transaction((tx) =>
      addAccount(tx, vault, wanted, COMMAND, io.clock.now(), io.random),
    );
    await printSecret(`added ${name}, ${role}`, { name, role }, secret, data, options, io);
  });
}

function list(options: AdminOptions, io: CommandIo): Promise<void> {
  return withHubData(options.data, io.terminal.env, async ({ store }) => {
    const accounts = await store.read(listAccounts);
    if (options.json === true) return printJson(io.terminal, { accounts });
    if (accounts.length === 0) {
      return void io.terminal.stderr.write('wghub: hint: nobody may log in yet; see wghub admin add\n');
    }
    printTable(
      io.terminal,
      ['NAME', 'ROLE', 'ADDED', 'CHANGED', 'USED'],
      accounts.map((one) => [
        one.name,
        one.role,
        showTime(one.createdAt),
        showTime(one.changedAt),
        showTime(one.usedAt),
      ]),
    );
  });
}

function password(name: string, options: AdminOptions, io: CommandIo): Promise<void> {
  return withHubData(options.data, io.terminal.env, async ({ store }) => {
    const hash = await hashPassword(await newPassword(options, io), io.random);
    await store.transaction((tx) => setPassword(tx, name, hash, COMMAND, io.clock.now()));
    told(`changed the password of ${name}`, { changed: name }, options, io);
  });
}

function totp(name: string, options: AdminOptions, io: CommandIo): Promise<void> {
  return withHubData(options.data, io.terminal.env, async (data) => {
    const vault = await openVault(data, options, io);
    const secret = await data.store.transaction((tx) => renewTotp(tx, vault, name, COMMAND, io.clock.now(), io.random));
    await printSecret(`made a new secret for ${name}; the one before is over`, { name }, secret, data, options, io);
  });
}

function changeRole(name: string, text: string, options: AdminOptions, io: CommandIo): Promise<void> {
  const words = `must be one of ${ROLES.join(', ')}`;
  const isRole = (value: string): value is Role => ROLES.some((role) => role === value);
  const { ROLE: role } = parseInput(z.strictObject({ ROLE: z.string().refine(isRole, words) }), { ROLE: text });
  return withHubData(options.data, io.terminal.env, async ({ store }) => {
    await store.transaction((tx) => setRole(tx, name, role as Role, COMMAND, io.clock.now()));
    told(`${name} is ${role} now`, { changed: name, role }, options, io);
  });
}

function logOut(name: string, options: AdminOptions, io: CommandIo): Promise<void> {
  return withHubData(options.data, io.terminal.env, async ({ store }) => {
    await store.transaction((tx) => logOutAccount(tx, name, COMMAND, io.clock.now()));
    told(`logged ${name} out`, { loggedOut: name }, options, io);
  });
}

function remove(name: string, options: AdminOptions, io: CommandIo): Promise<void> {
  return withHubData(options.data, io.terminal.env, async ({ store }) => {
    await store.transaction((tx) => removeAccount(tx, name, COMMAND, io.clock.now()));
    told(`removed ${name}`, { removed: name }, options, io);
  });
}

function told(words: string, json: object, options: AdminOptions, io: CommandIo): void {
  if (options.json === true) printJson(io.terminal, json);
  else io.terminal.stdout.write(`${words}; sessions of before are over\n`);
}

/** The secret as text, as an address that authenticator apps read, and as a picture of that address. */
async function printSecret(
  headline: string,
  about: { readonly name: string; readonly role?: Role },
  secret: string,
  { config }: HubData,
  options: AdminOptions,
  io: CommandIo,
): Promise<void> {
  const uri = totpUri(about.name, config.name, secret);
  const url = `${config.publicUrl ?? servingUrl(config)}/api/login`;
  if (options.json === true) return printJson(io.terminal, { ...about, totpSecret: secret, totpUri: uri, url });
  io.terminal.stdout.write(`${headline}\n\n${await totpText(secret, uri, io.terminal)}log in  ${url}\n`);
}

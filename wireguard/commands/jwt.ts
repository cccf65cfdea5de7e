import { readFileSync, statSync } from 'node:fs';
import type { Command } from 'commander';
import * as z from 'zod';
import { type CommandIo, dataCommand, showTime } from '../../platform/command-io.ts';
import { printJson, printTable } from '../../platform/command-line.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { readSecretFile } from '../../platform/files.ts';
import { parseInput } from '../../platform/schema.ts';
import { type UnsealOptions, withUnsealOptions } from '../../platform/vault/unseal-options.ts';
import { accessName } from '../access/access-name.ts';
import type { JwtKey } from '../access/jwt.ts';
import { publicKeyFrom, secretFrom } from '../access/jwt-key-file.ts';
import { addJwtKey, listJwtKeys, removeJwtKey } from '../access/jwt-keys.ts';
import { withHubData } from '../data/hub-data.ts';
import { COMMAND } from '../hub/actor.ts';
import { openVault } from './open-vault.ts';

interface JwtOptions extends UnsealOptions {
  readonly data: string;
  readonly publicKeyFile?: string;
  readonly secretFile?: string;
  readonly json?: boolean;
}

/** `jwt add|list|remove`: keys whose JWTs open the calls for devices. */
export function addJwtCommands(program: Command, io: CommandIo): void {
  const jwt = program.command('jwt').description('the keys whose JWTs open the calls for devices');
  const addCommand = dataCommand(jwt, 'add <name>', 'believe the JWTs of a key; NAME is their kid')
    .option('--public-key-file <file>', 'an Ed25519 public key, PEM or JWK: its JWTs are of EdDSA')
    .option('--secret-file <file>', 'a shared secret of at least 32 bytes (mode 0600): its JWTs are of HS256');
  withUnsealOptions(addCommand).action((name: string, options: JwtOptions) => add(name, options, io));
  dataCommand(jwt, 'list', 'list the keys').action((options: JwtOptions) => list(options, io));
  dataCommand(jwt, 'remove <name>', 'take a key away; its JWTs are good for nothing at once').action(
    (name: string, options: JwtOptions) => remove(name, options, io),
  );
}

function add(text: string, options: JwtOptions, io: CommandIo): Promise<void> {
  const { NAME: name } = parseInput(z.strictObject({ NAME: accessName }), { NAME: text });
  const key = keyFrom(name, options);
  return withHubData(options.data, io.terminal.env, async (data) => {
    const vault = await openVault(data, options, io);
    await data.store.transaction((tx) => addJwtKey(tx, vault, key, COMMAND, io.clock.now()));
    const { audience } = data.config;
    if (audience === null) {
      io.terminal.stderr.write(
        'wghub: warning: "audience" is null in config.json, and until it is set no JWT is taken\n',
      );
    }
    if (options.json === true) return printJson(io.terminal, { name, algorithm: key.algorithm, audience });
    const madeOut = audience === null ? '' : `, made out to ${audience}`;
    io.terminal.stdout.write(`JWTs of ${key.algorithm} with kid ${name}${madeOut} are believed from now on\n`);
  });
}

function keyFrom(name: string, { publicKeyFile, secretFile }: JwtOptions): JwtKey {
  if ((publicKeyFile === undefined) === (secretFile === undefined)) {
    throw new LatchkeyError('usage', 'one of --public-key-file and --secret-file must be given', { exit: 2 });
  }
  return publicKeyFile === undefined
    ? { name, algorithm: 'HS256', key: secretFrom(readSecretFile(secretFile ?? '', { max: 4096 })) }
    : { name, algorithm: 'EdDSA', key: publicKeyFrom(publicText(publicKeyFile)) };
}

/** No secret, so anybody may read it too. */
function publicText(path: string): string {
  try {
    if (statSync(path).size <= 16_384) return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new LatchkeyError('file_not_read', `${path} could not be read`, { cause });
  }
  throw new LatchkeyError('file_not_read', `${path} is larger than 16384 bytes`);
}

function list(options: JwtOptions, io: CommandIo): Promise<void> {
  return withHubData(options.data, io.terminal.env, async ({ store }) => {
    const keys = await store.read(listJwtKeys);
    if (options.json === true) return printJson(io.terminal, { keys });
    if (keys.length === 0) return void io.terminal.stderr.write('wghub: hint: no JWT is believed; see wghub jwt add\n');
    printTable(
      io.terminal,
      ['NAME', 'ALGORITHM', 'ADDED'],
      keys.map((one) => [one.name, one.algorithm, showTime(one.createdAt)]),
    );
  });
}

function remove(name: string, options: JwtOptions, io: CommandIo): Promise<void> {
  return withHubData(options.data, io.terminal.env, async ({ store }) => {
    await store.transaction((tx) => removeJwtKey(tx, name, COMMAND, io.clock.now()));
    if (options.json === true) printJson(io.terminal, { removed: name });
    else io.terminal.stdout.write(`removed ${name}; its JWTs are refused from now on\n`);
  });
}

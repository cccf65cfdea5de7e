import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Argument, type Command, Option } from 'commander';
import {
  type ChannelConfig,
  type ChannelSecret,
  channelKinds,
  parseConfig,
  parseSecret,
  secretKind,
} from '../../platform/alerts/channel-config.ts';
import { secretFromFile } from '../../platform/alerts/send-notice.ts';
import { type CommandIo, dataCommand } from '../../platform/command-io.ts';
import { askSecret, printJson } from '../../platform/command-line.ts';
import { parseInteger } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { readSecretFile } from '../../platform/files.ts';
import { type UnsealOptions, unsealMethodFor, withUnsealOptions } from '../../platform/vault/unseal-options.ts';
import type { Vault } from '../../platform/vault/vault.ts';
import { sealMethodOf, unsealVault } from '../../platform/vault/vault-file.ts';
import { type Severity, severities } from '../alerts/alert-schema.ts';
import { addChannel, newChannel } from '../alerts/channel-book.ts';
import { clientName } from '../clients/client.ts';
import { type ServerData, withServerData } from '../server-data.ts';

interface AddOptions extends UnsealOptions {
  readonly data: string;
  readonly json?: boolean;
  readonly least: Severity;
  readonly secretFile?: string;
  readonly secretAt?: string;
  readonly ca?: string;
  readonly homeserver?: string;
  readonly room?: string;
  readonly smtp?: string;
  readonly smtpTls?: string;
  readonly user?: string;
  readonly from?: string;
  readonly to?: readonly string[];
}

/** `alert add`: settings by options, secrets by a file or on the terminal. */
export function addAddCommand(alert: Command, io: CommandIo): void {
  const command = dataCommand(alert, 'add', 'add a channel')
    .addArgument(new Argument('<kind>').choices(channelKinds))
    .argument('<name>', 'what you call it')
    .argument('[program...]', 'command: absolute path and arguments, after --')
    .addOption(new Option('--least <severity>', 'what is less goes another way').choices(severities).default('info'))
    .option('--secret-file <file>', 'take URL, token or password from FILE (mode 0600) and seal it in the vault')
    .option('--secret-at <file>', 'read it from FILE (mode 0600) whenever it is needed; nothing is sealed')
    .option('--ca <file>', 'trust this authority (PEM) in place of the public ones')
    .option('--homeserver <url>', 'matrix: https://HOST')
    .option('--room <id>', 'matrix: the room, such as !abc:example.org')
    .option('--smtp <host:port>', 'email: the mail server')
    .option('--smtp-tls <mode>', 'email: starttls, implicit, or none for a server on this machine', 'starttls')
    .option('--user <name>', 'email: login; without it none')
    .option('--from <address>', 'email: sender')
    .option('--to <address...>', 'email: receivers');
  withUnsealOptions(command).action((kind: string, name: string, argv: readonly string[], options: AddOptions) =>
    add(kind, name, argv, options, io),
  );
}

function add(kind: string, text: string, argv: readonly string[], options: AddOptions, io: CommandIo): Promise<void> {
  const name = nameFrom(text);
  const config = parseConfig(settingsFrom(kind, argv, options));
  return withServerData(options.data, async (data) => {
    const { store } = data;
    const given = await secretFor(config, options, io);
    const isSealed = given !== null && options.secretAt === undefined;
    const vault = isSealed ? await openVault(data, options, io) : null;
    const channel = newChannel(name, options.least, config, given, vault);
    await store.transaction((tx) => addChannel(tx, channel, io.clock.now()));
    if (options.json === true)
      return printJson(io.terminal, { name, kind, least: options.least, target: channel.target });
    io.terminal.stdout.write(`added channel ${name}: ${kind} to ${channel.target}\n`);
    io.terminal.stderr.write('keyserver: hint: see whether it works with keyserver alert test\n');
  });
}

/** Options that belong to another kind are refused: whoever gave one meant something by it. */
function settingsFrom(kind: string, argv: readonly string[], options: AddOptions): unknown {
  const { homeserver, room, smtp, user, from, to, ca, secretAt } = options;
  const others: readonly [string, unknown, string][] = [
    ['--homeserver', homeserver, 'matrix'],
    ['--room', room, 'matrix'],
    ['--smtp', smtp, 'email'],
    ['--user', user, 'email'],
    ['--from', from, 'email'],
    ['--to', to, 'email'],
    ['program', argv.length === 0 ? undefined : argv, 'command'],
  ];
  for (const [option, value, owner] of others) {
    if (value !== undefined && kind !== owner) throw usage(`${option} is for a channel of kind ${owner}`);
    if (value === undefined && kind === owner && option !== '--user') throw usage(`a ${kind} channel needs ${option}`);
  }
  if (kind === 'command') return { kind, argv };
  const net = {
    ...(ca !== undefined && { ca: readAuthority(ca) }),
    ...(secretAt !== undefined && { secretAt: resolve(secretAt) }),
  };
  if (kind === 'matrix') return { kind, homeserver, room, ...net };
  if (kind !== 'email') return { kind, ...net };
  return { kind, ...mailServer(smtp ?? ''), tls: options.smtpTls, user: user ?? null, from, to, ...net };
}

function mailServer(text: string): { host: string; port: number } {
  const [, host = '', port = ''] = /^\[?([^[\]]+?)\]?:([0-9]{1,5})$/.exec(text) ?? [];
  if (host === '') throw usage('--smtp must be HOST:PORT');
  return { host, port: parseInteger(port, '--smtp', { min: 1, max: 65_535 }) };
}

function readAuthority(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown';
    throw new LatchkeyError('file_not_read', `${path} could not be read (${code})`, { cause });
  }
}

/** From a file, or asked for; never from the command line, which others can read. */
async function secretFor(config: ChannelConfig, options: AddOptions, io: CommandIo): Promise<ChannelSecret | null> {
  const { secretFile, secretAt } = options;
  if (secretFile !== undefined && secretAt !== undefined) {
    throw usage('only one of --secret-file and --secret-at may be given');
  }
  if (secretKind(config) === 'none') {
    if (secretFile !== undefined || secretAt !== undefined) throw usage('this channel needs no secret');
    return null;
  }
  if (secretAt !== undefined) return secretFromFile(resolve(secretAt), config);
  if (secretFile !== undefined) return parseSecret(readSecretFile(secretFile, { max: 4096 }).toString('utf8'), config);
  const question = { url: 'URL', token: config.kind === 'email' ? 'password' : 'token', none: '' }[secretKind(config)];
  return parseSecret(await askSecret(io.terminal, question, 'use --secret-file FILE or --secret-at FILE'), config);
}

/** The vault, for a secret that is sealed in it. */
export async function openVault(data: ServerData, options: UnsealOptions, io: CommandIo): Promise<Vault> {
  const method = await unsealMethodFor(await sealMethodOf(data.directory), options, io);
  return unsealVault(data.directory, method, io.random);
}

function nameFrom(text: string): string {
  if (clientName.safeParse(text).success) return text;
  throw new LatchkeyError(
    'invalid_request',
    '"name" must be 1 to 63 of a-z 0-9 . _ - and start with a letter or digit',
    {
      exit: 2,
      field: 'name',
    },
  );
}

function usage(message: string): LatchkeyError {
  return new LatchkeyError('usage', message, { exit: 2, hint: 'see keyserver alert add --help' });
}

import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { CommandIo } from '../../platform/command-io.ts';
import { dataCommand } from '../../platform/command-io.ts';
import { printJson } from '../../platform/command-line.ts';
import { assertNewDirectory } from '../../platform/data-directory.ts';
import { encodeBase64Url, sha256 } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { readSecretFile } from '../../platform/files.ts';
import { parseListenAddress } from '../../platform/listening/listen-address.ts';
import { parseNetworks } from '../../platform/listening/networks.ts';
import { makeKeychainItem, makeKeyfile, newPassphrase } from '../../platform/vault/new-secret.ts';
import { methodWords, type UnsealMethod } from '../../platform/vault/unseal.ts';
import {
  type UnsealOptions,
  unsealMethodFor,
  unsealMethodFrom,
  withUnsealOptions,
} from '../../platform/vault/unseal-options.ts';
import { sealMethodIn } from '../../platform/vault/vault-file.ts';
import { listenRefused, placeOf } from '../../wireguard/interface-address.ts';
import { type Config, newConfig } from '../config.ts';
import { createServerData, joinServerData } from '../server-data.ts';

interface InitOptions extends UnsealOptions {
  readonly data: string;
  readonly listen: string;
  readonly host?: readonly string[];
  readonly metricsFrom?: readonly string[];
  readonly metricsToken?: boolean;
  readonly plainHttpInsideTunnel?: boolean;
  readonly databaseUrlFile?: string;
  readonly databaseFromEnvironment?: boolean;
  readonly join?: string;
  readonly json?: boolean;
}

/** `init`: makes the data directory, vault, certificates and database of a new server. */
export function addInitCommand(program: Command, io: CommandIo): void {
  const command = dataCommand(program, 'init', 'make a new key server')
    .requiredOption('--listen <ip:port>', 'loopback or WireGuard address to listen on')
    .option('--host <name...>', 'names or addresses clients use, the first in their URL')
    .option('--metrics-from <cidr...>', 'networks that may read /metrics')
    .option('--metrics-token', 'make a token that may read /metrics, and print it once')
    .option('--plain-http-inside-tunnel', 'serve without TLS; only the tunnel (or loopback) then protects the keys')
    .option('--database-url-file <file>', 'keep the state in PostgreSQL, whose URL is in FILE (mode 0600)')
    .option('--database-from-environment', 'the same with the URL in $DATABASE_URL, here and for every later command')
    .option('--join <file>', 'one more server on that database; FILE is the vault.json of another one');
  withUnsealOptions(command).action((options: InitOptions) => init(options, io));
}

async function init(options: InitOptions, io: CommandIo): Promise<void> {
  const listen = parseListenAddress(options.listen, '--listen');
  const place = placeOf(listen.host);
  if (place.kind === 'other' || place.kind === 'wildcard') throw listenRefused(listen.host, place);
  const transport = options.plainHttpInsideTunnel === true ? 'plain-http' : 'tls';
  const token = options.metricsToken === true ? io.random(32) : null;
  const metrics = {
    from: parseNetworks(options.metricsFrom ?? [], '--metrics-from'),
    tokenHash: token === null ? null : sha256(token).toString('hex'),
  };
  const database = databaseFrom(options);
  const config = { ...newConfig(listen, options.host ?? [], transport, metrics), database };
  assertNewDirectory(options.data);
  const { made, method, madeKeyfile } =
    options.join === undefined
      ? await makeFirst(options, config, io)
      : await joinOthers(options.join, options, config, io);
  if (options.json === true) {
    printJson(io.terminal, {
      data: made.directory,
      url: config.url,
      hosts: config.hosts,
      sealedWith: method.method,
      ca: made.ca,
      auditKey: made.auditKey,
      ...(token !== null && { metricsToken: encodeBase64Url(token) }),
    });
  } else {
    const keyfile = madeKeyfile
      ? `  made key file ${options.keyfile}: keep a copy elsewhere, without it nothing opens\n`
      : '';
    const tokenLine = token === null ? '' : `  metrics token ${encodeBase64Url(token)}\n`;
    io.terminal.stdout.write(
      `made ${options.join === undefined ? 'a' : 'one more'} key server in ${made.directory}\n  url ${config.url}, sealed with ${methodWords[method.method]}\n${keyfile}${tokenLine}`,
    );
  }
  if (database === null && io.terminal.env.DATABASE_URL !== undefined) {
    io.terminal.stderr.write('keyserver: hint: DATABASE_URL is set but not used; see --database-from-environment\n');
  }
  if (place.kind === 'absent') {
    io.terminal.stderr.write(`keyserver: hint: ${listen.host} is on no interface yet; start will wait for it\n`);
  }
}

function databaseFrom(options: InitOptions): Config['database'] {
  const { databaseUrlFile: file, databaseFromEnvironment: environment, join } = options;
  if (file !== undefined && environment === true)
    throw new LatchkeyError('usage', 'only one of --database-url-file and --database-from-environment may be given', {
      exit: 2,
    });
  if (file !== undefined) return { urlFile: resolve(file) };
  if (environment === true) return { urlFile: null };
  if (join === undefined) return null;
  throw new LatchkeyError('usage', '--join needs the PostgreSQL database of the other server', {
    exit: 2,
    hint: 'give --database-url-file FILE',
  });
}

interface Made {
  readonly made: { readonly directory: string; readonly ca: string; readonly auditKey: string };
  readonly method: UnsealMethod;
  readonly madeKeyfile: boolean;
}

async function makeFirst(options: InitOptions, config: Config, io: CommandIo): Promise<Made> {
  const method = (await unsealMethodFrom(options, io)) ?? newPassphrase(io);
  const madeKeyfile = makeKeyfile(options.keyfile, io);
  await makeKeychainItem(options.keychain, io);
  return { made: await createServerData(options.data, config, method, io, io.terminal.env), method, madeKeyfile };
}

/** Nothing is made here but the directory: the secret that opens the vault is the other server's. */
async function joinOthers(vaultPath: string, options: InitOptions, config: Config, io: CommandIo): Promise<Made> {
  const vaultText = readSecretFile(vaultPath).toString('utf8');
  const method = await unsealMethodFor(sealMethodIn(vaultText), options, io);
  const made = await joinServerData(options.data, config, vaultText, method, io, io.terminal.env);
  return { made, method, madeKeyfile: false };
}

import { hostname } from 'node:os';
import { type Command, Option } from 'commander';
import { type CommandIo, dataCommand } from '../../platform/command-io.ts';
import { printJson } from '../../platform/command-line.ts';
import { assertNewDirectory } from '../../platform/data-directory.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { readSecretFile } from '../../platform/files.ts';
import { parseListenAddress } from '../../platform/listening/listen-address.ts';
import { methodWords } from '../../platform/vault/unseal.ts';
import { type UnsealOptions, unsealMethodFor, withUnsealOptions } from '../../platform/vault/unseal-options.ts';
import { sealMethodIn } from '../../platform/vault/vault-file.ts';
import { hubConfig } from '../data/hub-config.ts';
import { joinHubData } from '../data/hub-data.ts';
import { type DatabaseOptions, databaseFrom, withDatabaseOptions } from './database-options.ts';
import { type FrontOptions, frontFrom, ownHostsFrom, withFrontOptions } from './front-options.ts';
import { makeCertificate } from './init.ts';

interface JoinOptions extends UnsealOptions, DatabaseOptions, FrontOptions {
  readonly data: string;
  readonly vault: string;
  readonly interfaces?: readonly string[];
  readonly standBy?: boolean;
  readonly listen: string;
  readonly name: string;
  readonly driver: 'auto' | 'memory';
  readonly json?: boolean;
}

/** `join`: makes the data directory of one more hub on the PostgreSQL database of another one. */
export function addJoinCommand(program: Command, io: CommandIo): void {
  const command = dataCommand(program, 'join', 'make one more hub, on the PostgreSQL database of another one')
    .requiredOption('--vault <file>', 'vault.json of a hub that is there (mode 0600); its secret opens this one too')
    .option('--interfaces <name...>', 'the interfaces that this hub keeps; those of other hubs are only served')
    .option('--stand-by', 'wait for interfaces that another hub keeps, and take over when it is gone')
    .option('--listen <ip:port>', 'where the API listens', '127.0.0.1:8090')
    .option('--name <name>', 'what the hub calls itself', hostname())
    .addOption(
      new Option('--driver <driver>', 'memory makes no interface at all: for trying things out')
        .choices(['auto', 'memory'])
        .default('auto'),
    );
  withFrontOptions(command);
  withDatabaseOptions(command);
  withUnsealOptions(command).action((options: JoinOptions) => join(options, io));
}

async function join(options: JoinOptions, io: CommandIo): Promise<void> {
  const { interfaces, standBy = false } = options;
  const database = databaseFrom(options);
  if (database === null) {
    throw new LatchkeyError('usage', 'one more hub needs the PostgreSQL database of the others', {
      exit: 2,
      hint: 'give --database-url-file FILE; a hub on SQLite is moved there with wghub migrate',
    });
  }
  if (interfaces === undefined && !standBy) {
    throw new LatchkeyError('usage', 'one of --interfaces and --stand-by is needed, or both', {
      exit: 2,
      hint: 'the other hub keeps its interfaces: name those of this one, which wghub interface add makes there',
    });
  }
  const config = hubConfig({
    version: 1,
    name: options.name,
    listen: parseListenAddress(options.listen, '--listen'),
    database,
    driver: options.driver,
    interfaces: interfaces === undefined ? null : [...interfaces],
    standBy,
    ...frontFrom(options),
  });
  assertNewDirectory(options.data);
  const vaultText = readSecretFile(options.vault).toString('utf8');
  const method = await unsealMethodFor(sealMethodIn(vaultText), options, io);
  const { clock, random, terminal } = io;
  const order = { config, vaultText, method };
  const joined = await joinHubData(options.data, order, { clock, random, env: terminal.env });
  const hosts = ownHostsFrom(options);
  const pin = hosts.length > 0 ? await makeCertificate(joined.directory, joined.vault, hosts, io) : null;
  const own = joined.interfaces.filter(({ name }) => config.interfaces?.includes(name) ?? true);
  if (options.json === true) {
    const kept = own.map(({ name, endpoint }) => ({ name, endpoint }));
    printJson(terminal, { data: joined.directory, interfaces: kept, standBy, tlsPin: pin, sealedWith: method.method });
    return;
  }
  const reached = own.map(
    ({ name, endpoint }) => `  ${name}  reached at ${endpoint}, which has to lead to this machine\n`,
  );
  const waits = standBy ? '  waits for those that another hub keeps, and takes over when it is gone\n' : '';
  terminal.stdout.write(
    `made one more hub in ${joined.directory}, sealed with ${methodWords[method.method]}\n${reached.join('')}${waits}` +
      (pin === null ? '' : `  certificate of its own, pin ${pin}\n`),
  );
}

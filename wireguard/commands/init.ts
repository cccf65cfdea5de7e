import { hostname } from 'node:os';
import { type Command, Option } from 'commander';
import { type CommandIo, dataCommand } from '../../platform/command-io.ts';
import { printJson } from '../../platform/command-line.ts';
import { assertNewDirectory } from '../../platform/data-directory.ts';
import { parseInteger } from '../../platform/encoding.ts';
import { parseListenAddress } from '../../platform/listening/listen-address.ts';
import { makeKeychainItem, makeKeyfile, newPassphrase } from '../../platform/vault/new-secret.ts';
import { methodWords } from '../../platform/vault/unseal.ts';
import { type UnsealOptions, unsealMethodFrom, withUnsealOptions } from '../../platform/vault/unseal-options.ts';
import type { Vault } from '../../platform/vault/vault.ts';
import { hubConfig } from '../data/hub-config.ts';
import { createHubData, refuseUnknown, withHubData } from '../data/hub-data.ts';
import { certificateFacts } from '../front/certificate-facts.ts';
import { makeOwnCertificate } from '../front/own-certificate.ts';
import { COMMAND } from '../hub/actor.ts';
import { newInterface } from '../store/new-interface.ts';
import { type DatabaseOptions, databaseFrom, withDatabaseOptions } from './database-options.ts';
import { type FrontOptions, frontFrom, ownHostsFrom, withFrontOptions } from './front-options.ts';
import { type InterfaceOptions, orderFrom, withInterfaceOptions } from './interface-options.ts';

interface InitOptions extends UnsealOptions, InterfaceOptions, DatabaseOptions, FrontOptions {
  readonly data: string;
  readonly listen: string;
  readonly name: string;
  readonly audience?: string;
  readonly metricsFrom?: readonly string[];
  readonly metricsPeers: string;
  readonly foreign: 'strict' | 'adopt';
  readonly driver: 'auto' | 'memory';
  readonly interfaces?: readonly string[];
  readonly bare?: boolean;
  readonly json?: boolean;
}

/** `init`: makes the data directory of a hub with its first interface. */
export function addInitCommand(program: Command, io: CommandIo): void {
  const command = dataCommand(program, 'init', 'make a new hub');
  withInterfaceOptions(command)
    .option('--listen <ip:port>', 'where the API listens', '127.0.0.1:8090')
    .option('--name <name>', 'what the hub calls itself', hostname())
    .option(
      '--interfaces <name...>',
      'the interfaces that this hub keeps, where others share its database; all unless told',
    )
    .option('--bare', 'no interface yet: POST /api/hub/initialize makes the first one')
    .option('--audience <text>', 'what JWTs must be made out to; without it none is taken')
    .option('--metrics-from <cidr...>', 'networks that may read /api/metrics without a token')
    .option('--metrics-peers <count>', 'for how many peers it has figures of each alone', '200')
    .addOption(
      new Option('--foreign <policy>', 'what becomes of peers that somebody else put on the interface')
        .choices(['strict', 'adopt'])
        .default('strict'),
    )
    .addOption(
      new Option('--driver <driver>', 'memory makes no interface at all: for trying things out')
        .choices(['auto', 'memory'])
        .default('auto'),
    );
  withFrontOptions(command);
  withDatabaseOptions(command);
  withUnsealOptions(command).action((options: InitOptions) => init(options, io));
}

async function init(options: InitOptions, io: CommandIo): Promise<void> {
  const config = hubConfig({
    version: 1,
    name: options.name,
    listen: parseListenAddress(options.listen, '--listen'),
    database: databaseFrom(options),
    driver: options.driver,
    foreign: options.foreign,
    interfaces: options.interfaces === undefined ? null : [...options.interfaces],
    audience: options.audience ?? null,
    metrics: {
      from: [...(options.metricsFrom ?? [])],
      peers: parseInteger(options.metricsPeers, '--metrics-peers', { min: 0, max: 10_000 }),
    },
    ...frontFrom(options),
  });
  const first = options.bare === true ? null : newInterface(orderFrom(options), [], io.random);
  refuseUnknown(config.interfaces, first === null ? [] : [first]);
  assertNewDirectory(options.data);
  const method = (await unsealMethodFrom(options, io)) ?? newPassphrase(io);
  const madeKeyfile = makeKeyfile(options.keyfile, io);
  await makeKeychainItem(options.keychain, io);
  const { clock, random, terminal } = io;
  const deps = { clock, random, env: terminal.env };
  const { directory, vault } = await createHubData(options.data, config, first, method, deps);
  const pin = config.tls?.source === 'own' ? await makeCertificate(directory, vault, ownHostsFrom(options), io) : null;
  if (options.json === true) {
    printJson(terminal, {
      data: directory,
      interface: first?.name ?? null,
      publicKey: first?.publicKey ?? null,
      addresses: first?.addresses ?? [],
      endpoint: first?.endpoint ?? null,
      tlsPin: pin,
      sealedWith: method.method,
    });
    return;
  }
  terminal.stdout.write(
    `made a hub in ${directory}, sealed with ${methodWords[method.method]}\n` +
      (first === null
        ? '  no interface yet\n'
        : `  ${first.name}  ${first.addresses.join(', ')}, port ${first.listenPort}, reached at ${first.endpoint}\n` +
          `  public key ${first.publicKey}\n`) +
      (pin === null ? '' : `  certificate of its own, pin ${pin}\n`) +
      (madeKeyfile ? `  made key file ${options.keyfile}: keep a copy elsewhere, without it nothing opens\n` : ''),
  );
}

/** The pin of a new hub's certificate. */
export function makeCertificate(
  directory: string,
  vault: Vault,
  hosts: readonly string[],
  { clock, random, terminal }: CommandIo,
): Promise<string> {
  return withHubData(directory, terminal.env, async ({ store }) => {
    const order = { hosts, newKey: false, by: COMMAND, now: clock.now() };
    const { certificate } = await makeOwnCertificate({ directory, store, vault }, order, random);
    return certificateFacts(certificate).pin;
  });
}

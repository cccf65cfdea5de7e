import type { Command } from 'commander';
import { printJson } from '../../platform/command-line.ts';
import { encodeBase64Url, sha256 } from '../../platform/encoding.ts';
import { listenRefused, placeOf } from '../../wireguard/interface-address.ts';
import { newConfig } from '../config.ts';
import { assertNewDirectory } from '../data-directory.ts';
import { parseListenAddress } from '../listen-address.ts';
import { parseNetworks } from '../networks.ts';
import { createServerData } from '../server-data.ts';
import { methodWords } from '../unseal.ts';
import type { CommandIo } from './command-io.ts';
import { dataCommand } from './command-io.ts';
import { makeKeychainItem, makeKeyfile, newPassphrase } from './new-secret.ts';
import { type UnsealOptions, unsealMethodFrom, withUnsealOptions } from './unseal-options.ts';

interface InitOptions extends UnsealOptions {
  readonly data: string;
  readonly listen: string;
  readonly host?: readonly string[];
  readonly metricsFrom?: readonly string[];
  readonly metricsToken?: boolean;
  readonly plainHttpInsideTunnel?: boolean;
  readonly json?: boolean;
}

/** `init`: makes the data directory, vault, certificates and database of a new server. */
export function addInitCommand(program: Command, io: CommandIo): void {
  const command = dataCommand(program, 'init', 'make a new key server')
    .requiredOption('--listen <ip:port>', 'loopback or WireGuard address to listen on')
    .option('--host <name...>', 'names or addresses clients use, the first in their URL')
    .option('--metrics-from <cidr...>', 'networks that may read /metrics')
    .option('--metrics-token', 'make a token that may read /metrics, and print it once')
    .option('--plain-http-inside-tunnel', 'serve without TLS; only the tunnel (or loopback) then protects the keys');
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
  const config = newConfig(listen, options.host ?? [], transport, metrics);
  const method = (await unsealMethodFrom(options, io)) ?? newPassphrase(io);
  assertNewDirectory(options.data);
  const madeKeyfile = makeKeyfile(options.keyfile, io);
  await makeKeychainItem(options.keychain, io);
  const made = await createServerData(options.data, config, method, io);
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
      `made a key server in ${made.directory}\n  url ${config.url}, sealed with ${methodWords[method.method]}\n${keyfile}${tokenLine}`,
    );
  }
  if (place.kind === 'absent') {
    io.terminal.stderr.write(`keyserver: hint: ${listen.host} is on no interface yet; start will wait for it\n`);
  }
}

import type { Command } from 'commander';
import { type CommandIo, dataCommand, showTime } from '../../platform/command-io.ts';
import { printJson } from '../../platform/command-line.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { hostsIn } from '../../platform/listening/identity.ts';
import { type UnsealOptions, withUnsealOptions } from '../../platform/vault/unseal-options.ts';
import { type HubData, withHubData } from '../data/hub-data.ts';
import { type CertificateFacts, certificateFacts } from '../front/certificate-facts.ts';
import { readCertificateFiles } from '../front/certificate-files.ts';
import { noCertificate } from '../front/certificate-source.ts';
import { parseHosts } from '../front/host-names.ts';
import { hostsOf } from '../front/hub-url.ts';
import { makeOwnCertificate, ownCertificateFile, readOwnCertificate, sealedOwnKey } from '../front/own-certificate.ts';
import { COMMAND } from '../hub/actor.ts';
import { openVault } from './open-vault.ts';

interface TlsOptions extends UnsealOptions {
  readonly data: string;
  readonly name?: readonly string[];
  readonly newKey?: boolean;
  readonly json?: boolean;
}

/** `tls make|show`: the certificate with which the hub serves its API. */
export function addTlsCommands(program: Command, io: CommandIo): void {
  const tls = program.command('tls').description('the certificate with which the hub serves its API');
  const makeCommand = dataCommand(tls, 'make', 'make a certificate of the hub’s own, or make it anew with the same key')
    .option('--name <host...>', 'names and IP addresses that the hub is reached by; those of before unless told')
    .option('--new-key', 'a new key too: installers that were handed out do not know the hub any more');
  withUnsealOptions(makeCommand).action((options: TlsOptions) => make(options, io));
  dataCommand(tls, 'show', 'show the certificate, and what it is known by').action((options: TlsOptions) =>
    show(options, io),
  );
}

function make(options: TlsOptions, io: CommandIo): Promise<void> {
  const named = parseHosts(options.name ?? [], '--name');
  return withHubData(options.data, io.terminal.env, async (data) => {
    const { directory, store, config } = data;
    const before = readOwnCertificate(directory);
    const known = before === null ? hostsOf(config) : hostsIn(before);
    const hosts = named.length > 0 ? named : known;
    if (hosts.length === 0) {
      throw new LatchkeyError('usage', '"--name" must be given: config.json does not tell what the hub is reached by', {
        exit: 2,
        field: '--name',
      });
    }
    const vault = await openVault(data, options, io);
    const hadKey = (await store.read(sealedOwnKey)) !== null;
    const order = { hosts, newKey: options.newKey === true, by: COMMAND, now: io.clock.now() };
    const { certificate } = await makeOwnCertificate({ directory, store, vault }, order, io.random);
    const key = hadKey && !order.newKey ? 'kept' : 'new';
    print({ ...certificateFacts(certificate), source: 'own', file: ownCertificateFile(directory), key }, options, io);
    if (hadKey && key === 'new') {
      io.terminal.stderr.write('wghub: warning: whoever knows the hub by its key before does not know it any more\n');
    }
    hintUnless(config.tls?.source === 'own', io);
  });
}

function show(options: TlsOptions, io: CommandIo): Promise<void> {
  return withHubData(options.data, io.terminal.env, async (data) => {
    const { certificate, ...about } = servedBy(data);
    print({ ...certificateFacts(certificate), ...about }, options, io);
    hintUnless(data.config.tls !== null, io);
  });
}

function servedBy({ config, directory }: HubData): { certificate: string; source: 'files' | 'own'; file: string } {
  if (config.tls?.source === 'files') {
    return { certificate: readCertificateFiles(config.tls).certificate, source: 'files', file: config.tls.certificate };
  }
  const certificate = readOwnCertificate(directory);
  if (certificate === null) throw noCertificate();
  return { certificate, source: 'own', file: ownCertificateFile(directory) };
}

function hintUnless(isServed: boolean, io: CommandIo): void {
  if (isServed) return;
  io.terminal.stderr.write(
    'wghub: hint: to serve with it, put "tls": {"source": "own"} into config.json and start the hub again\n',
  );
}

interface Shown extends CertificateFacts {
  readonly source: 'files' | 'own';
  readonly file: string;
  readonly key?: 'new' | 'kept';
}

function print(
  { hosts, from, until, sha256, pin, source, file, key }: Shown,
  options: TlsOptions,
  io: CommandIo,
): void {
  if (options.json === true) {
    const times = { from: new Date(from).toISOString(), until: new Date(until).toISOString() };
    printJson(io.terminal, {
      source,
      file,
      hosts,
      ...times,
      sha256,
      pin,
      ...(key === undefined ? {} : { key }),
    });
    return;
  }
  io.terminal.stdout.write(
    `${file}${source === 'own' ? ', made by the hub' : ''}${key === undefined ? '' : `, with ${key === 'new' ? 'a new key' : 'the key of before'}`}\n` +
      `  name     ${hosts.join(', ') || '-'}\n` +
      `  good     from ${showTime(from)} until ${showTime(until)}\n` +
      `  SHA-256  ${sha256}\n` +
      `  pin      ${pin}\n`,
  );
}

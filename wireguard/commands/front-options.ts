import { resolve } from 'node:path';
import type { Command } from 'commander';
import * as z from 'zod';
import { LatchkeyError } from '../../platform/errors.ts';
import { parseNetworks } from '../../platform/listening/networks.ts';
import { parseInput } from '../../platform/schema.ts';
import { type HubConfig, origin, publicUrl } from '../data/hub-config.ts';
import { readCertificateFiles } from '../front/certificate-files.ts';
import { parseHosts } from '../front/host-names.ts';

export interface FrontOptions {
  readonly publicUrl?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsOwn?: readonly string[];
  readonly proxy?: readonly string[];
  readonly corsOrigin?: string;
}

/** Adds the options that say how a hub is reached from the internet. */
export function withFrontOptions(command: Command): Command {
  return command
    .option('--public-url <url>', 'where spokes reach the API: https://hub.example')
    .option('--tls-cert <file>', 'serve with TLS: a certificate (PEM, with its chain) that somebody else renews')
    .option('--tls-key <file>', 'and its private key (PEM, mode 0600)')
    .option('--tls-own <host...>', 'serve with TLS: a certificate of the hub’s own for these names and addresses')
    .option('--proxy <cidr...>', 'web servers before the hub, whose X-Forwarded-For is believed')
    .option('--cors-origin <origin>', 'the one origin whose pages may call the API: https://panel.example');
}

const urls = z.strictObject({ '--public-url': publicUrl.optional(), '--cors-origin': origin.optional() });

/** What they say, checked; the certificate is read, so that a hub is not made which could not serve. */
export function frontFrom(options: FrontOptions): Pick<HubConfig, 'publicUrl' | 'tls' | 'proxies' | 'corsOrigin'> {
  const checked = parseInput(urls, { '--public-url': options.publicUrl, '--cors-origin': options.corsOrigin });
  return {
    publicUrl: checked['--public-url'] ?? null,
    corsOrigin: checked['--cors-origin'] ?? null,
    proxies: options.proxy === undefined ? [] : parseNetworks(options.proxy, '--proxy'),
    tls: tlsFrom(options),
  };
}

/** The names that the hub's own certificate is for; none where it is to have none. */
export function ownHostsFrom({ tlsOwn = [] }: FrontOptions): string[] {
  return parseHosts(tlsOwn, '--tls-own');
}

function tlsFrom(options: FrontOptions): HubConfig['tls'] {
  const { tlsCert, tlsKey } = options;
  const isOwn = ownHostsFrom(options).length > 0;
  if (isOwn && (tlsCert ?? tlsKey) !== undefined) {
    throw new LatchkeyError('usage', 'only one of --tls-own and --tls-cert may be given', { exit: 2 });
  }
  if (isOwn) return { source: 'own', oldest: '1.2' };
  if (tlsCert === undefined && tlsKey === undefined) return null;
  if (tlsCert === undefined || tlsKey === undefined) {
    throw new LatchkeyError('usage', '--tls-cert and --tls-key must be given together', { exit: 2 });
  }
  const files = { certificate: resolve(tlsCert), key: resolve(tlsKey) };
  readCertificateFiles(files);
  return { source: 'files', ...files, oldest: '1.2' };
}

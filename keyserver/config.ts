import { isIP } from 'node:net';
import * as z from 'zod';
import { readConfigFile, writeConfigFile } from '../platform/config-file.ts';
import { databaseSchema } from '../platform/database-choice.ts';
import { hostSchema } from '../platform/listening/host-name.ts';
import { authorityOf, type ListenAddress } from '../platform/listening/listen-address.ts';
import { isNetwork } from '../platform/listening/networks.ts';
import { parseInput } from '../platform/schema.ts';
import { probeTarget } from './presence/probe.ts';

/** Who may read `/metrics`: these sources, and whoever has the token (kept as SHA-256, hex). */
const metricsSchema = z.strictObject({
  from: z.array(z.string().refine(isNetwork, 'must be a network such as 10.8.0.0/24')).max(32),
  tokenHash: z
    .string()
    .regex(/^[0-9a-f]{64}$/, 'must be 64 hex digits')
    .nullable(),
});
export type MetricsAccess = z.infer<typeof metricsSchema>;

/** Who may ask for the pages: these sources; `null` is the network of the listen address. */
const adminSchema = z.strictObject({
  from: z.array(z.string().refine(isNetwork, 'must be a network such as 10.8.0.0/24')).max(32).nullable(),
});

const schema = z.strictObject({
  version: z.literal(1),
  listen: z.strictObject({
    host: z.string().refine((text) => isIP(text) !== 0, 'must be an IP address'),
    port: z.int().min(1).max(65_535),
  }),
  /** Names and addresses in the server's certificate, the one clients use first. */
  hosts: z.array(hostSchema).min(1).max(32),
  url: z.string().regex(/^https?:\/\/[^/?#@\s]+$/, 'must be http(s)://HOST:PORT'),
  transport: z.enum(['tls', 'plain-http']),
  metrics: metricsSchema.default({ from: [], tokenHash: null }),
  admin: adminSchema.default({ from: null }),
  /** Hosts that are always there: while none of them is reached, the server counts itself as away. */
  probe: z.array(probeTarget).max(8).default([]),
  /** `null` is SQLite in the data directory. */
  database: databaseSchema.nullable().default(null),
});

/** What `config.json` holds: no secret. */
export type Config = z.infer<typeof schema>;

/** The config of a new server. Hosts default to the listen address (and `localhost` on loopback). */
export function newConfig(
  listen: ListenAddress,
  hosts: readonly string[],
  transport: Config['transport'],
  metrics: MetricsAccess = { from: [], tokenHash: null },
): Config {
  const loopback = listen.host === '::1' || listen.host.startsWith('127.');
  const all = [...new Set([...hosts, listen.host, ...(loopback ? ['localhost'] : [])])];
  const scheme = transport === 'tls' ? 'https' : 'http';
  const url = `${scheme}://${authorityOf(all[0] ?? listen.host, listen.port)}`;
  return parseInput(schema, { version: 1, listen, hosts: all, url, transport, metrics });
}

/**
 * The same server at another address, or under other names. Without names it keeps its own: the new address takes the place of
 * the old one, which stays behind it. The first one is that of its URL.
 */
export function movedConfig(config: Config, listen: ListenAddress, names: readonly string[] | null): Config {
  const before = config.listen.host;
  const kept = [...config.hosts.map((host) => (host === before ? listen.host : host)), before];
  const { hosts, url } = newConfig(listen, names ?? kept, config.transport);
  return { ...config, listen, hosts, url };
}

export function writeConfig(directory: string, config: Config): void {
  writeConfigFile(directory, config);
}

/** Throws `config_damaged`, naming the field. */
export function readConfig(directory: string): Config {
  return readConfigFile(directory, schema);
}

import { isIP } from 'node:net';
import { isAbsolute } from 'node:path';
import * as z from 'zod';
import { readConfigFile, writeConfigFile } from '../../platform/config-file.ts';
import { databaseSchema } from '../../platform/database-choice.ts';
import { isNetwork } from '../../platform/listening/networks.ts';
import { parseInput } from '../../platform/schema.ts';

const networks = z.array(z.string().refine(isNetwork, 'must be a network such as 10.8.0.0/24')).max(32);
const absolutePath = z.string().refine(isAbsolute, 'must be an absolute path');

/** Who may read the metrics without a log-in (these sources), and for how many peers there are figures of each alone. */
const metricsSchema = z.strictObject({
  from: networks.default([]),
  peers: z.int().min(0).max(10_000).default(200),
});

/** The oldest TLS that is spoken: before 2022 Windows had no 1.3. */
const tlsVersion = z.enum(['1.2', '1.3']).default('1.2');

/** How the API is served with TLS: with files that somebody else renews, or with a certificate that the hub made and its installers know. */
const tlsSchema = z.discriminatedUnion('source', [
  z.strictObject({ source: z.literal('files'), certificate: absolutePath, key: absolutePath, oldest: tlsVersion }),
  z.strictObject({ source: z.literal('own'), oldest: tlsVersion }),
]);

/** How spokes join by tokens. */
const spokesSchema = z.strictObject({
  /** Tokens that one source may make in an hour. */
  tokensPerHour: z.int().min(1).max(100_000).default(10),
  /** How long a token is good when nobody says. */
  hours: z.int().min(1).max(720).default(24),
  /** What becomes of a registration that comes from another address than the script was fetched from. */
  otherSource: z.enum(['record', 'refuse']).default('record'),
});

/** `https://hub.example`, with a port or a path where there is one; no `/` at its end. */
export const publicUrl: z.ZodType<string, string> = z
  .string()
  .max(300)
  .refine(isBaseUrl, 'must be a URL such as https://hub.example, without a slash at its end');
/** What browsers send in `Origin`. */
export const origin: z.ZodType<string, string> = z
  .string()
  .max(300)
  .refine((text) => isBaseUrl(text) && new URL(text).origin === text, 'must be an origin such as https://hub.example');

const schema = z.strictObject({
  version: z.literal(1),
  /** What the hub calls itself to those who ask. */
  name: z.string().regex(/^[\x21-\x7e][\x20-\x7e]{0,62}$/, 'must be 1 to 63 printable characters'),
  /** Where its API listens. */
  listen: z.strictObject({
    host: z.string().refine((text) => isIP(text) !== 0, 'must be an IP address'),
    port: z.int().min(0).max(65_535),
  }),
  /** `null` is SQLite in the data directory. */
  database: databaseSchema.nullable().default(null),
  /** How interfaces are made and spoken to; `auto` is the best that works here, `memory` has none (for trying things out). */
  driver: z.enum(['auto', 'memory']).default('auto'),
  /** What becomes of peers that somebody else put on an interface: taken off, or left and told about. */
  foreign: z.enum(['strict', 'adopt']).default('strict'),
  /** The `aud` that JWTs must be made out to. */
  audience: z.string().min(1).max(256).nullable().default(null),
  metrics: metricsSchema.default({ from: [], peers: 200 }),
  /** `null`: none, so that it is for this machine, the tunnel, and a web server before it. */
  tls: tlsSchema.nullable().default(null),
  /** Where spokes reach the API; what installers are made out to. */
  publicUrl: publicUrl.nullable().default(null),
  /** Web servers before the hub, whose `X-Forwarded-For` is believed. */
  proxies: networks.default([]),
  /** The one origin whose pages may call the API from a browser. */
  corsOrigin: origin.nullable().default(null),
  spokes: spokesSchema.default({ tokensPerHour: 10, hours: 24, otherSource: 'record' }),
  /** The interfaces of the store that this hub keeps; `null` for all. Others are kept by other hubs on the same database. */
  interfaces: z.array(z.string().min(1).max(15)).min(1).max(64).nullable().default(null),
  /** Whether it waits, when another hub keeps one of its interfaces, to take over once that is gone; otherwise it does not start. */
  standBy: z.boolean().default(false),
  /** Seconds between two looks at an interface: so long may pass until what happens behind the hub's back is seen. */
  lookSeconds: z.int().min(1).max(60).default(10),
  /** A folder in which a running hub keeps NAME.conf of each interface for those who look there, private keys and all. */
  exportFolder: absolutePath.nullable().default(null),
});

/** What `config.json` of a hub holds: no secret. */
export type HubConfig = z.infer<typeof schema>;

/** Checks a config that was put together. Throws `invalid_request`, naming the field. */
export function hubConfig(value: z.input<typeof schema>): HubConfig {
  return parseInput(schema, value);
}

export function writeConfig(directory: string, config: HubConfig): void {
  writeConfigFile(directory, config);
}

/** Throws `config_damaged`, naming the field. */
export function readConfig(directory: string): HubConfig {
  return readConfigFile(directory, schema);
}

function isBaseUrl(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || !['https:', 'http:'].includes(url.protocol) || text.endsWith('/')) return false;
  const { username, password, search, hash, href } = url;
  return `${username}${password}${search}${hash}` === '' && (href === text || href === `${text}/`);
}

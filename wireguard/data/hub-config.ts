import { isIP } from 'node:net';
import { isAbsolute } from 'node:path';
import * as z from 'zod';
import { readConfigFile, writeConfigFile } from '../../platform/config-file.ts';
import { databaseSchema } from '../../platform/database-choice.ts';
import { isNetwork } from '../../platform/listening/networks.ts';
import { parseInput } from '../../platform/schema.ts';

/** Who may read the metrics without a log-in: these sources. */
const metricsSchema = z.strictObject({
  from: z.array(z.string().refine(isNetwork, 'must be a network such as 10.8.0.0/24')).max(32),
});

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
  metrics: metricsSchema.default({ from: [] }),
  /** Seconds between two looks at an interface: so long may pass until what happens behind the hub's back is seen. */
  lookSeconds: z.int().min(1).max(60).default(10),
  /** A folder in which a running hub keeps NAME.conf of each interface for those who look there, private keys and all. */
  exportFolder: z.string().refine(isAbsolute, 'must be an absolute path').nullable().default(null),
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

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type * as z from 'zod';
import { LatchkeyError } from './errors.ts';
import { writeFileAtomic } from './files.ts';
import { parseInput } from './schema.ts';

/** `config.json` in a server's data directory. */
export function configFile(directory: string): string {
  return join(directory, 'config.json');
}

/** Writes it in one step, 0600. */
export function writeConfigFile(directory: string, config: object): void {
  writeFileAtomic(configFile(directory), `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
}

/** Throws `config_damaged`, naming the field. */
export function readConfigFile<T>(directory: string, schema: z.ZodType<T>): T {
  const path = configFile(directory);
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new LatchkeyError('config_damaged', `${path} could not be read as JSON`, { cause });
  }
  try {
    return parseInput(schema, value);
  } catch (cause) {
    throw new LatchkeyError('config_damaged', `in ${path}: ${(cause as Error).message}`, { cause });
  }
}

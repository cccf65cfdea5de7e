import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import * as z from 'zod';
import { isLatchkeyError, LatchkeyError } from '../../platform/errors.ts';
import { parseInput } from '../../platform/schema.ts';
import { parseSshTarget } from '../transports/ssh-target.ts';
import { jsonLines } from './json-lines.ts';

/** One Nextcloud of an inventory, with the options a command on it alone would be given. */
export interface Host {
  readonly name: string;
  /** `user@host[:port]`; null: this machine. */
  readonly ssh: string | null;
  readonly labels: readonly string[];
  readonly sudo: boolean;
  readonly identity: string | null;
  readonly knownHosts: string | null;
  readonly acceptHostKey: string | null;
  readonly root: string | null;
  readonly php: string | null;
  readonly container: string | null;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const word = z.string().regex(NAME, 'must be letters, digits, ".", "_" or "-", and 63 at most');
const file = z.string().regex(/^[^\0]{1,4000}$/, 'must be a path');
const folder = z.string().regex(/^\/[^\0]*[^/\0]$/, 'must be an absolute path without a slash at its end');

const common = {
  sudo: z.boolean().optional(),
  identity: file.optional(),
  knownHosts: file.optional(),
  root: folder.optional(),
  php: file.optional(),
};
const hostSchema = z
  .strictObject({
    ...common,
    name: word,
    ssh: z.string().optional(),
    local: z.literal(true).optional(),
    acceptHostKey: z
      .string()
      .regex(/^SHA256:[A-Za-z0-9+/]{43}$/, 'must be SHA256: and 43 characters')
      .optional(),
    container: word.optional(),
    labels: z.array(word).max(32).optional(),
  })
  .superRefine((host, context) => {
    const wrong = (message: string, field: string): void => {
      context.addIssue({ code: 'custom', message, path: [field] });
    };
    if (host.ssh === undefined) {
      if (host.local !== true) wrong('must be given, or "local": true', 'ssh');
      return;
    }
    if (host.local === true) wrong('cannot be given together with "ssh"', 'local');
    try {
      parseSshTarget(host.ssh);
    } catch (error) {
      if (!isLatchkeyError(error)) throw error;
      wrong(error.message.replace('"--ssh" ', ''), 'ssh');
    }
  });
const inventorySchema = z.strictObject({
  defaults: z.strictObject(common).optional(),
  hosts: z.array(hostSchema).min(1).max(1000),
});

/**
 * Pure: the hosts of an inventory, defaults filled in. `folder` is where the inventory lies: paths of this machine in it
 * are relative to that. Throws `inventory_invalid` (exit 2) with the line and the field.
 */
export function parseInventory(text: string, folder: string): Host[] {
  const lines = readLines(text);
  const { hosts, defaults = {} } = readFields(text, lines);
  const places = new Map<string, number>();
  const names = new Map<string, number>();
  return hosts.map((given, index) => {
    const host = { ...defaults, ...given };
    refuseSecond(names, given.name, index, `hosts.${index}.name`, 'is the name of', lines);
    const place = [host.ssh?.toLowerCase(), host.root, host.container].join('\n');
    refuseSecond(places, place, index, `hosts.${index}`, 'is the same place as', lines);
    const here = (path: string | undefined): string | null => (path === undefined ? null : pathHere(path, folder));
    return {
      name: host.name,
      ssh: host.ssh ?? null,
      labels: host.labels ?? [],
      sudo: host.sudo ?? false,
      identity: here(host.identity),
      knownHosts: here(host.knownHosts),
      acceptHostKey: host.acceptHostKey ?? null,
      root: host.root ?? null,
      php: host.php ?? null,
      container: host.container ?? null,
    };
  });
}

function readLines(text: string): ReadonlyMap<string, number> {
  try {
    return jsonLines(text);
  } catch (error) {
    if (!isLatchkeyError(error, 'json_invalid')) throw error;
    throw invalid(error.message, error.field);
  }
}

function readFields(text: string, lines: ReadonlyMap<string, number>): z.infer<typeof inventorySchema> {
  try {
    return parseInput(inventorySchema, JSON.parse(text));
  } catch (error) {
    if (!isLatchkeyError(error)) throw error;
    throw invalid(`line ${lineOf(error.field ?? '', lines)}: ${error.message}`, error.field);
  }
}

function refuseSecond(
  seen: Map<string, number>,
  value: string,
  index: number,
  field: string,
  words: string,
  lines: ReadonlyMap<string, number>,
): void {
  const first = seen.get(value);
  seen.set(value, index);
  if (first === undefined) return;
  const before = `"hosts.${first}" (line ${lineOf(`hosts.${first}`, lines)})`;
  throw invalid(`line ${lineOf(field, lines)}: "${field}" ${words} ${before} too`, field);
}

/** A member that is missing is told by the line of what it is missing from. */
function lineOf(field: string, lines: ReadonlyMap<string, number>): number {
  for (let path = field; path !== ''; path = path.slice(0, Math.max(0, path.lastIndexOf('.')))) {
    const line = lines.get(path);
    if (line !== undefined) return line;
  }
  return lines.get('') ?? 1;
}

function invalid(message: string, field: string | undefined): LatchkeyError {
  return new LatchkeyError('inventory_invalid', `the inventory is not valid: ${message}`, {
    exit: 2,
    hint: 'nothing was run; see "Many servers" in the README of ncpatch for the form',
    ...(field === undefined ? {} : { field }),
  });
}

function pathHere(path: string, folder: string): string {
  return path.startsWith('~/') ? join(homedir(), path.slice(2)) : resolve(folder, path);
}

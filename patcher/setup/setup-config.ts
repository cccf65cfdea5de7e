import { isIP } from 'node:net';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import * as z from 'zod';
import { isLatchkeyError, LatchkeyError } from '../../platform/errors.ts';
import { parseInput } from '../../platform/schema.ts';
import { parseSshTarget } from '../transports/ssh-target.ts';

/** What the two machines speak over: WireGuard, an SSH tunnel where UDP is blocked, or both, where either will do. */
export const transports = ['wireguard', 'ssh', 'both'] as const;
export type TransportChoice = (typeof transports)[number];

/** The steps that may be declined beforehand. */
export const declinable = ['escrow', 'watch', 'doctor'] as const;

const file = z.string().regex(/^[^\0]{1,4000}$/, 'must be a path');
const absolute = z.string().regex(/^\/[^\0]*[^/\0]$/, 'must be an absolute path without a slash at its end');
const port = z.int().min(1).max(65_535);
const hostName = z
  .string()
  .refine(
    (text) => isIP(text) !== 0 || /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(text),
    'must be a host name or an IP address',
  );
const login = z.string().superRefine((text, context) => {
  try {
    parseSshTarget(text);
  } catch (error) {
    if (!isLatchkeyError(error)) throw error;
    context.addIssue({ code: 'custom', message: error.message.replace('"--ssh" ', '') });
  }
});

const machine = {
  /** `user@host[:port]`; this machine when it is not given and `local` is true. */
  ssh: login.optional(),
  local: z.literal(true).optional(),
  sudo: z.boolean().default(false),
  identity: file.optional(),
  knownHosts: file.optional(),
  acceptHostKey: z
    .string()
    .regex(/^SHA256:[A-Za-z0-9+/]{43}$/, 'must be SHA256: and 43 characters')
    .optional(),
};
function oneWay(place: { ssh?: string | undefined; local?: true | undefined }, context: z.RefinementCtx): void {
  if ((place.ssh === undefined) === (place.local === true)) return;
  context.addIssue({ code: 'custom', message: 'must be given, or "local": true, and not both', path: ['ssh'] });
}

const schema = z.strictObject({
  /** The machine that Nextcloud runs on. */
  server: z
    .strictObject({ ...machine, root: absolute.optional(), container: z.string().optional(), php: file.optional() })
    .superRefine(oneWay),
  /** The machine that keeps the key. */
  home: z.strictObject(machine).superRefine(oneWay).default({ local: true, sudo: false }),
  transport: z.enum(transports).default('wireguard'),
  wireguard: z
    .strictObject({
      /** Who sends the first packet: the end that is not behind NAT is dialled. */
      dials: z.enum(['home', 'server']).default('home'),
      /** Where the dialled end is found; the address of the server's SSH when it is the server. */
      endpoint: hostName.optional(),
      /** UDP, on the dialled end. */
      port: port.default(51_820),
      /** An IPv4 network with room for two; one that collides with nothing unless told. */
      network: z.string().optional(),
      /** What the interface is called on both ends. */
      interface: z
        .string()
        .regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$/, 'must be 1 to 15 letters, digits, ".", "_" or "-"')
        .default('latchkey'),
    })
    .prefault({}),
  sshTunnel: z
    .strictObject({
      /** Who opens the connection, and so keeps the private key. */
      dials: z.enum(['home', 'server']).default('home'),
      /** Where the dialled end's sshd is found; that of the server's own login when it is the server. */
      endpoint: hostName.optional(),
      /** TCP, of that sshd. */
      port: port.optional(),
      /** Loopback port on the server at which Nextcloud finds the key server. */
      listen: port.default(8443),
    })
    .prefault({}),
  keyServer: z
    .strictObject({
      /** Data directory at home; `/var/lib/latchkey/keys` (macOS: `/var/db/latchkey/keys`) unless told. */
      data: absolute.optional(),
      /** What unseals the vault at boot; beside the data directory unless told. */
      keyfile: absolute.optional(),
      port: port.default(8443),
      /** The account at home that it runs as. */
      account: z
        .string()
        .regex(/^[A-Za-z_][A-Za-z0-9_.-]{0,31}$/, 'must be the name of an account')
        .default('latchkey'),
    })
    .prefault({}),
  /** What the key server calls this Nextcloud. */
  client: z
    .string()
    .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, 'must be small letters, digits, ".", "_" or "-"')
    .default('cloud'),
  hook: z.enum(['app', 'core']).default('app'),
  escrow: z
    .strictObject({
      /** The owner's encrypted copy of the keys, on this machine; a new file. */
      copy: file.optional(),
      /** Its passphrase; asked for when it is not given. */
      passphraseFile: file.optional(),
    })
    .prefault({}),
  /** Steps that are not wanted. */
  skip: z.array(z.enum(declinable)).default([]),
  /** Where summary and recovery sheet go, on this machine. */
  folder: file.optional(),
});

/** What is wanted, defaults filled in. Paths of this machine are absolute. */
export type SetupConfig = z.infer<typeof schema>;
export type MachineChoice = SetupConfig['home'];
/** As it is written: everything but the server may be left out. */
export type SetupWish = z.input<typeof schema>;

/** Pure: what is wanted. Paths of this machine are relative to `folder`. Throws `setup_invalid` (exit 2), naming the field. */
export function parseSetup(wish: unknown, folder: string): SetupConfig {
  try {
    const config = parseInput(schema, wish);
    return {
      ...config,
      server: here(config.server, ['identity', 'knownHosts'], folder),
      home: here(config.home, ['identity', 'knownHosts'], folder),
      escrow: here(config.escrow, ['copy', 'passphraseFile'], folder),
      ...here({ folder: config.folder }, ['folder'], folder),
    };
  } catch (error) {
    if (!isLatchkeyError(error)) throw error;
    throw new LatchkeyError('setup_invalid', `the configuration is not valid: ${error.message}`, {
      exit: 2,
      hint: 'nothing was done; see "From nothing to a moved key" in the README of ncpatch for the form',
      ...(error.field === undefined ? {} : { field: error.field }),
    });
  }
}

/** The same with some paths of this machine made absolute. */
function here<T extends object>(fields: T, names: readonly (keyof T & string)[], folder: string): T {
  const paths = names.flatMap((name) => {
    const path = fields[name];
    if (typeof path !== 'string') return [];
    return [[name, path.startsWith('~/') ? join(homedir(), path.slice(2)) : resolve(folder, path)]];
  });
  return { ...fields, ...Object.fromEntries(paths) };
}

import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import * as z from 'zod';
import { LatchkeyError } from '../errors.ts';
import { hostSchema } from '../listening/host-name.ts';
import { parseInput } from '../schema.ts';

const line = /^[\x21-\x7e]{1,512}$/;
const mailbox = z
  .string()
  .regex(/^[^\s@<>"',;:\\()[\]]{1,64}@[A-Za-z0-9.-]{1,253}$/, 'must be an address such as me@example.org');
const certificates = z.string().max(65_536).refine(isPem, 'must be PEM certificates').nullable().default(null);
/** Reads the secret from this file each time, instead of from the vault. */
const secretAt = z.string().startsWith('/', 'must be an absolute path').nullable().default(null);

const net = { ca: certificates, secretAt };

/** One channel's settings, without its secret; JSON in the database. */
export const channelConfig = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('webhook'), ...net }),
  z.strictObject({ kind: z.literal('ntfy'), ...net }),
  z.strictObject({ kind: z.literal('slack'), ...net }),
  z.strictObject({ kind: z.literal('discord'), ...net }),
  z.strictObject({
    kind: z.literal('matrix'),
    homeserver: z.string().refine((text) => urlFault(text, false) === null, 'must be https://HOST'),
    room: z.string().regex(/^![\x21-\x7e]{1,254}$/, 'must be a room id such as !abc:example.org'),
    ...net,
  }),
  z.strictObject({
    kind: z.literal('email'),
    host: hostSchema,
    port: z.int().min(1).max(65_535),
    tls: z.enum(['implicit', 'starttls', 'none']),
    user: z.string().regex(line, 'must be printable, without spaces').nullable(),
    from: mailbox,
    to: z.array(mailbox).min(1).max(20),
    ...net,
  }),
  z.strictObject({ kind: z.literal('command'), argv: z.array(z.string().max(4096)).min(1).max(64) }),
]);
export type ChannelConfig = z.infer<typeof channelConfig>;
export type ChannelKind = ChannelConfig['kind'];

/** Every kind there is, in the order of `alert add --help`. */
export const channelKinds: readonly ChannelKind[] = [
  'webhook',
  'ntfy',
  'slack',
  'discord',
  'matrix',
  'email',
  'command',
];

/** What is sealed: a URL that is a secret, a token or a password. */
export interface ChannelSecret {
  readonly url: string | null;
  /** Bearer token, or the password of a mailbox. */
  readonly token: string | null;
}

/** What kinds ask for: `url` a URL and perhaps a token, `token` a token or password, `none` nothing. */
export function secretKind(config: ChannelConfig): 'url' | 'token' | 'none' {
  if (config.kind === 'command' || (config.kind === 'email' && config.user === null)) return 'none';
  return config.kind === 'matrix' || config.kind === 'email' ? 'token' : 'url';
}

/** Settings as a person gave them. Throws `invalid_request` naming the field. */
export function parseConfig(value: unknown): ChannelConfig {
  const config = parseInput(channelConfig, value);
  if (config.kind === 'email' && config.tls === 'none' && !isLoopback(config.host)) {
    throw wrong('--smtp-tls', 'may be none only for a mail server on this machine');
  }
  if (config.kind === 'command' && !config.argv[0]?.startsWith('/')) {
    throw wrong('command', 'must begin with the absolute path of a program');
  }
  return config;
}

/**
 * The secret as a file or a person gives it: for a URL kind the URL on the first line and perhaps a bearer token on the
 * second, else one line. Throws `invalid_request`, without a word of what was given.
 */
export function parseSecret(text: string, config: ChannelConfig): ChannelSecret {
  const wanted = secretKind(config);
  const lines = text.replace(/\r?\n$/, '').split(/\r?\n/);
  const [first = '', second = null] = lines;
  if (wanted === 'none') throw wrong('secret', 'is not wanted for this channel');
  if (wanted === 'token') {
    const fits = config.kind === 'email' ? /^[^\p{Cc}]{1,512}$/u : line;
    if (lines.length !== 1 || !fits.test(first)) throw wrong('secret', 'must be one line');
    return { url: null, token: first };
  }
  if (lines.length > 2 || (second !== null && !line.test(second))) {
    throw wrong('secret', 'must be a URL, and perhaps a token on a second line');
  }
  const fault = urlFault(first, true);
  if (fault !== null) throw wrong('url', fault);
  if (config.kind === 'ntfy' && !/^\/[A-Za-z0-9_-]{1,64}$/.test(new URL(first).pathname)) {
    throw wrong('url', 'must be the URL of a topic, such as https://ntfy.sh/TOPIC');
  }
  if (second !== null && (config.kind === 'slack' || config.kind === 'discord')) {
    throw wrong('secret', 'must be the webhook URL alone');
  }
  return { url: first, token: second };
}

/** Where a channel leads, for lists and logs; nothing secret. */
export function channelTarget(config: ChannelConfig, secret: ChannelSecret | null): string {
  if (config.kind === 'command') return config.argv[0] ?? '';
  if (config.kind === 'email') return config.to.join(', ');
  if (config.kind === 'matrix') return `${new URL(config.homeserver).origin} ${config.room}`;
  return secret?.url == null ? `file ${config.secretAt ?? 'unknown'}` : `${new URL(secret.url).origin}/…`;
}

/** What is wrong with a URL, or `null`. Without TLS the message could be read on its way: loopback only. */
function urlFault(text: string, path: boolean): string | null {
  if (text.length > 2048 || !/^https?:\/\/[\x21-\x7e]+$/.test(text) || !URL.canParse(text))
    return 'must be an https URL';
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') return 'must not hold a user or password: use a token';
  if (url.hash !== '') return 'must not hold a "#"';
  if (!path && url.pathname !== '/') return 'must be https://HOST without a path';
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) return 'must be https, or http on this machine itself';
  return null;
}

function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '');
  return bare === 'localhost' || bare === '::1' || (isIP(bare) === 4 && bare.startsWith('127.'));
}

function isPem(text: string): boolean {
  try {
    return new X509Certificate(text).subject !== undefined;
  } catch {
    return false;
  }
}

function wrong(field: string, words: string): LatchkeyError {
  return new LatchkeyError('invalid_request', `"${field}" ${words}`, { status: 400, exit: 2, field });
}

import { readFileSync } from 'node:fs';
import * as z from 'zod';
import {
  type ChannelConfig,
  type ChannelSecret,
  parseConfig,
  parseSecret,
  secretKind,
} from '../../platform/alerts/channel-config.ts';
import type { Notice } from '../../platform/alerts/notice.ts';
import { sendNotice } from '../../platform/alerts/send-notice.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { readSecretFile } from '../../platform/files.ts';
import { parseInput } from '../../platform/schema.ts';

/** One way out for alerts. */
export interface AlertTeller {
  /** By which what waits for it is known: the path of its file, or `command`. */
  readonly name: string;
  /** Throws for one that could not tell anything, as its file is not what it should be. */
  look(): void;
  /** Throws when it did not get there, or not in time, and when the signal is aborted. */
  tell(notice: Notice, signal: AbortSignal): Promise<void>;
}

/** How long one notice may take, ms; a mail server may look for long at what it has taken already. */
export interface TellingLimits {
  readonly mail: number;
  readonly other: number;
}
const LIMITS: TellingLimits = { mail: 45_000, other: 20_000 };
const MOST_BYTES = 65_536;
/** So that what waits for them fits into what is kept between two rounds. */
const MOST_CHANNELS = 8;

/** The program and its arguments, split at spaces: no shell reads them. Throws `usage`. */
export function parseAlertCommand(text: string): readonly [string, ...string[]] {
  const [program = '', ...words] = text.split(' ').filter((word) => word !== '');
  if (program.startsWith('/') && text.length <= 4096 && !/\p{Cc}/u.test(text)) return [program, ...words];
  throw new LatchkeyError('usage', '"--alert-command" must begin with the absolute path of a program', {
    exit: 2,
    field: '--alert-command',
    hint: 'it is split at spaces, and no shell reads it',
  });
}

/** Pure. What a channel's file has is read only when it is looked at or told something, so that a wrong one keeps nothing from being restarted. */
export function alertTellers(
  command: readonly [string, ...string[]] | null,
  files: readonly string[],
  limits = LIMITS,
): readonly AlertTeller[] {
  if (files.length > MOST_CHANNELS) {
    throw new LatchkeyError('usage', `"--alert-channel" must name at most ${MOST_CHANNELS} files`, {
      exit: 2,
      field: '--alert-channel',
    });
  }
  const within = (signal: AbortSignal, ms: number) => AbortSignal.any([signal, AbortSignal.timeout(ms)]);
  const none = (): ChannelSecret => ({ url: null, token: null });
  const tellers = [...new Set(files)].map((name) => ({
    name,
    look: () => void readChannel(name),
    tell: async (notice: Notice, signal: AbortSignal): Promise<void> => {
      const { config, secret } = readChannel(name);
      const limit = config.kind === 'email' ? limits.mail : limits.other;
      return sendNotice(notice, config, () => secret, within(signal, limit));
    },
  }));
  if (command === null) return tellers;
  const config = { kind: 'command' as const, argv: [...command] };
  const tell = (notice: Notice, signal: AbortSignal) => sendNotice(notice, config, none, within(signal, limits.other));
  return [{ name: 'command', look: () => undefined, tell }, ...tellers];
}

/** What of a file is secret, or a file in turn; the rest are settings. */
const fileSchema = z.looseObject({
  kind: z.string(),
  url: z.string().optional(),
  token: z.string().optional(),
  password: z.string().optional(),
  ca: z.string().startsWith('/', 'must be the absolute path of a PEM file').optional(),
});

/**
 * A channel as a file has it: JSON, for its owner alone, as its URL or password is in it. Throws what `readSecretFile` throws, and
 * `channel_unusable`, which names the file and the field.
 */
export function readChannel(path: string): { readonly config: ChannelConfig; readonly secret: ChannelSecret } {
  const bytes = readSecretFile(path, { max: MOST_BYTES });
  try {
    return channelOf(parseInput(fileSchema, JSON.parse(bytes.toString('utf8'))));
  } catch (cause) {
    const words = cause instanceof LatchkeyError ? cause.message : 'it is not JSON';
    throw new LatchkeyError('channel_unusable', `${path}: ${words}`, { exit: 2, cause });
  }
}

function channelOf(file: z.infer<typeof fileSchema>) {
  const { url, token, password, ca, ...settings } = file;
  if ('secretAt' in settings) throw wrong('secretAt', 'is not a known field');
  const usual = settings.kind === 'email' ? { tls: 'starttls', user: null } : {};
  const config = parseConfig({ ...usual, ...settings, ...(ca !== undefined && { ca: authorityOf(ca) }) });
  const wanted = secretKind(config);
  const one = config.kind === 'email' ? 'password' : 'token';
  const fields: readonly string[] = { url: ['url', 'token'], token: [one], none: [] }[wanted];
  for (const [name, value] of Object.entries({ url, token, password })) {
    if (value !== undefined && !fields.includes(name)) throw wrong(name, `is not wanted for ${config.kind}`);
  }
  if (wanted === 'none') return { config, secret: { url: null, token: null } };
  const lines = [url, token, password].filter((value) => value !== undefined);
  if (lines.length === 0) throw wrong(fields[0] ?? '', 'is missing');
  return { config, secret: parseSecret(lines.join('\n'), config) };
}

function authorityOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    throw wrong('ca', 'could not be read');
  }
}

function wrong(field: string, words: string): LatchkeyError {
  return new LatchkeyError('invalid_request', `"${field}" ${words}`, { exit: 2, field });
}

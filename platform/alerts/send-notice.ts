import { isUtf8 } from 'node:buffer';
import { LatchkeyError } from '../errors.ts';
import { readSecretFile } from '../files.ts';
import { run } from '../run.ts';
import { type ChannelConfig, type ChannelSecret, parseSecret, secretKind } from './channel-config.ts';
import { sendRequest } from './http-post.ts';
import type { Notice } from './notice.ts';
import { discordRequest, matrixRequest, ntfyRequest, slackRequest, webhookRequest } from './shapes.ts';

/** How long a command may take, ms; under the limit of a delivery loop. */
const commandLimit = 15_000;
const commandBytes = 1_048_576;
const secretBytes = 4_096;

/** Hands a notice over by a channel. `secret` is asked only where the channel has one. Throws `alert_not_sent`, and what `run` throws. */
export async function sendNotice(
  notice: Notice,
  config: ChannelConfig,
  secret: () => ChannelSecret,
  signal: AbortSignal,
): Promise<void> {
  if (config.kind === 'command') return sendCommand(notice, config.argv);
  const known = secretKind(config) === 'none' ? { url: null, token: null } : secret();
  if (config.kind === 'email') {
    const { sendMail } = await import('./email.ts'); // the package behind it is loaded only where mail is sent
    return sendMail(notice, config, known.token, signal);
  }
  return sendRequest(requestOf(notice, config, known), config.ca, signal);
}

function requestOf(
  notice: Notice,
  config: Exclude<ChannelConfig, { kind: 'email' | 'command' }>,
  secret: ChannelSecret,
) {
  const { url, token } = secret;
  if (config.kind === 'matrix') return matrixRequest(notice, config.homeserver, config.room, token ?? '');
  if (url === null) throw new LatchkeyError('alert_not_sent', 'the channel has no URL');
  if (config.kind === 'ntfy') return ntfyRequest(notice, url, token);
  if (config.kind === 'slack') return slackRequest(notice, url);
  return config.kind === 'discord' ? discordRequest(notice, url) : webhookRequest(notice, url, token);
}

/** The program gets the same JSON as a webhook on its standard input. Exit code 0: it was delivered. */
async function sendCommand(notice: Notice, argv: readonly string[]): Promise<void> {
  const input = `${JSON.stringify({ version: 1, ...notice })}\n`;
  await run(argv as [string, ...string[]], { input, timeoutMs: commandLimit, maxBytes: commandBytes });
}

/** The secret of a channel that keeps it in a file, 0600. Throws like `readSecretFile`, and `invalid_request`. */
export function secretFromFile(path: string, config: ChannelConfig): ChannelSecret {
  const bytes = readSecretFile(path, { max: secretBytes });
  if (!isUtf8(bytes)) throw new LatchkeyError('file_not_read', `${path} is not text`);
  return parseSecret(bytes.toString('utf8'), config);
}

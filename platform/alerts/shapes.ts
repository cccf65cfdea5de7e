import type { NoticeRequest } from './http-post.ts';
import type { Notice } from './notice.ts';

/** A notice in the shape each service wants; nothing here sends. */

function bearer(token: string | null): Record<string, string> {
  return token === null ? {} : { Authorization: `Bearer ${token}` };
}

/** Our own shape, described in the README: everything that is known. */
export function webhookRequest(notice: Notice, url: string, token: string | null): NoticeRequest {
  return { method: 'POST', url, headers: bearer(token), body: { version: 1, ...notice } };
}

/** ntfy turns longer messages into attachments: 4,096 bytes. */
const ntfyBytes = 4_000;
const ntfyPriority = { info: 3, warning: 4, critical: 5 } as const;

/**
 * ntfy, published as JSON to the server's root with the topic inside: https://docs.ntfy.sh/publish/#publish-as-json.
 * Whoever knows the topic reads along, so the whole URL is a secret.
 */
export function ntfyRequest(notice: Notice, url: string, token: string | null): NoticeRequest {
  const target = new URL(url);
  const topic = decodeURIComponent(target.pathname.slice(1));
  const body = {
    topic,
    title: headline(notice),
    message: cutBytes(notice.text, ntfyBytes),
    priority: ntfyPriority[notice.severity],
    tags: notice.severity === 'info' ? ['key'] : ['rotating_light'],
  };
  return { method: 'POST', url: `${target.origin}/`, headers: bearer(token), body };
}

const slackLength = 3_900;

/**
 * A Slack incoming webhook, https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks. The three
 * characters that begin mentions and links are escaped: https://api.slack.com/reference/surfaces/formatting#escaping.
 */
export function slackRequest(notice: Notice, url: string): NoticeRequest {
  const text = cut(`${headline(notice)}\n${notice.text}`, slackLength);
  const escaped = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  return { method: 'POST', url, body: { text: escaped } };
}

/** Characters of a Discord message. */
const discordLength = 2_000;
/** SUPPRESS_EMBEDS: no previews of what an address in the text may lead to. */
const discordFlags = 4;

/** A Discord webhook, https://discord.com/developers/docs/resources/webhook#execute-webhook. No mention ever rings. */
export function discordRequest(notice: Notice, url: string): NoticeRequest {
  const text = `${headline(notice)}\n${notice.text}`.replace(/[\\*_~`|>#[\]]/g, '\\$&');
  const body = { content: cut(text, discordLength), allowed_mentions: { parse: [] }, flags: discordFlags };
  return { method: 'POST', url, body };
}

/** Under the 64 KiB of a Matrix event with all that is around it. */
const matrixLength = 20_000;

/**
 * A message in a Matrix room, https://spec.matrix.org/latest/client-server-api/#put_matrixclientv3roomsroomidsendeventtypetxnid;
 * the homeserver drops a transaction id it has seen. `m.text`, because phones stay silent on `m.notice`. The room must not be encrypted.
 */
export function matrixRequest(notice: Notice, homeserver: string, room: string, token: string): NoticeRequest {
  const place = `/_matrix/client/v3/rooms/${encodeURIComponent(room)}/send/m.room.message/${encodeURIComponent(notice.id)}`;
  const body = { msgtype: 'm.text', body: cut(`${headline(notice)}\n\n${notice.text}`, matrixLength) };
  return { method: 'PUT', url: `${homeserver.replace(/\/$/, '')}${place}`, headers: bearer(token), body };
}

/** The line that a phone shows: how bad, and what. */
export function headline(notice: Notice): string {
  return `Latchkey ${notice.severity}: ${notice.title}`;
}

function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1).replace(/[\uD800-\uDBFF\\]$/, '')}…`;
}

function cutBytes(text: string, bytes: number): string {
  if (Buffer.byteLength(text) <= bytes) return text;
  const whole = new TextDecoder().decode(Buffer.from(text).subarray(0, bytes - 3));
  return `${whole.replace(/\uFFFD$/, '')}…`;
}

import type { QueuedMessage } from '../../platform/alert-outbox.ts';
import type { Notice } from '../../platform/alerts/notice.ts';
import { type AlertTexts, alertTexts } from './alert.ts';
import { type Alert, alertSchema } from './alert-schema.ts';

/** One alert as it goes out. */
export interface NoticeItem extends AlertTexts {
  readonly event: string;
  /** Milliseconds since 1970. */
  readonly raisedAt: number;
  /** So many of its kind were only counted since the one before. */
  readonly earlier: number;
  readonly facts: Readonly<Record<string, unknown>>;
}

/** One alert, or several in a digest; `server` is the key server's URL. */
export interface AlertNotice extends Notice {
  readonly alerts: readonly NoticeItem[];
}

/** Lines of a digest; the rest is told by its number. */
const listed = 40;

/** Messages of one severity as one notice. */
export function noticeOf(messages: readonly QueuedMessage[], server: string): AlertNotice {
  const alerts = messages.map(itemOf);
  const [first] = alerts;
  if (first === undefined) throw new TypeError('a notice needs a message');
  const id = messages.map(({ seq, raisedAt }) => `${raisedAt.toString(36)}-${seq}`);
  const { severity } = first;
  if (alerts.length === 1)
    return { id: id.join(), server, severity, title: first.title, text: textOf(first, server), alerts };
  const title = `${alerts.length} alerts: ${countsOf(alerts)}`;
  return { id: `${id[0]}-${id.at(-1)}`, server, severity, title, text: digestOf(alerts, server), alerts };
}

/** One message for `alert log`. */
export function showAlert(message: { readonly body: string }): Omit<NoticeItem, 'raisedAt' | 'earlier'> {
  const { raisedAt: _raisedAt, earlier: _earlier, ...item } = itemOf({ ...message, raisedAt: 0, earlier: 0 });
  return item;
}

function itemOf(message: Pick<QueuedMessage, 'body' | 'raisedAt' | 'earlier'>): NoticeItem {
  const { raisedAt, earlier } = message;
  const parsed = alertSchema.safeParse(JSON.parse(message.body));
  if (!parsed.success) return { ...unreadable, raisedAt, earlier };
  const alert: Alert = parsed.data;
  const { event, ...facts } = alert;
  return { event, ...alertTexts(alert), raisedAt, earlier, facts };
}

/** Queued by another version of this program. */
const unreadable = {
  event: 'unknown',
  severity: 'warning',
  title: 'an alert that this version does not know',
  happened: 'It was queued by another version of the key server.',
  done: 'Nothing else is known of it.',
  todo: 'Look at keyserver audit tail.',
  facts: {},
} as const;

function textOf(item: NoticeItem, server: string): string {
  const more = item.earlier === 0 ? '' : ` It was noted ${item.earlier} more times after you were last told of it.`;
  return [
    `${item.happened}${more}`,
    '',
    `Done by itself: ${item.done}`,
    `You can: ${item.todo}`,
    '',
    `${item.severity}, ${timeText(item.raisedAt)}, key server ${server}`,
  ].join('\n');
}

function digestOf(alerts: readonly NoticeItem[], server: string): string {
  const lines = alerts.slice(0, listed).map((item) => {
    const more = item.earlier === 0 ? '' : ` (and ${item.earlier} times before)`;
    return `${timeText(item.raisedAt)}  ${item.title}${more}`;
  });
  const rest = alerts.length > listed ? [`and ${alerts.length - listed} more`] : [];
  return [
    ...lines,
    ...rest,
    '',
    `Each in full: keyserver alert log`,
    `${alerts[0]?.severity}, key server ${server}`,
  ].join('\n');
}

function countsOf(alerts: readonly NoticeItem[]): string {
  const counts = new Map<string, number>();
  for (const { event } of alerts) counts.set(event, (counts.get(event) ?? 0) + 1);
  return [...counts].map(([event, count]) => `${event} ${count}`).join(', ');
}

function timeText(at: number): string {
  return new Date(at).toISOString().replace(/\.\d{3}Z$/, 'Z');
}

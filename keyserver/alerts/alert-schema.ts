import * as z from 'zod';
import { noticeCodes } from '../wire.ts';

/** A client as an alert names it; whatever else the value holds is dropped. */
const client = z.object({ id: z.string(), name: z.string() });
/** An address, as the socket told it. */
const source = z.string().max(64);
/** Milliseconds since 1970. */
const time = z.number();
/** Somebody else's words: a host's name for itself, the reason of an operator. */
const words = z.string().transform(plain);
/** What the gate did about it. */
const outcome = z.enum(['alerted', 'held', 'denied']);
/** How it was asked for: on the command line, on a page, or by a file in the data directory. */
const means = z.enum(['command', 'page', 'file']);

/** One side of a fork: what is known of the machine that spoke. */
const side = z.object({
  source: source.nullable(),
  time: time.nullable(),
  bootId: z.string().nullable(),
  fingerprint: z.string().nullable(),
});

/**
 * Everything the key server tells its owner of by itself. Facts are ids, addresses, times and a few words: never a
 * token, a link, a code or a key. Who raises one may hand in more than is named here (a whole client): it stops at
 * this schema.
 */
export const alertSchema = z.discriminatedUnion('event', [
  /** A spent link came back: two machines hold this client's state. */
  z.object({
    event: z.literal('fork'),
    client,
    call: z.enum(['open', 'release', 'heartbeat']),
    policy: z.enum(['lock+purge', 'lock', 'alert']),
    locked: z.boolean(),
    now: side,
    before: side.extend({ releasedAt: time.nullable() }),
  }),
  /** A person has to say yes. `page`: where, without any credential in it. */
  z.object({
    event: z.literal('hold'),
    client,
    gate: z.string(),
    approval: z.string(),
    source,
    reason: words.nullable(),
    page: z.string().nullable(),
    lapsesAt: time,
  }),
  z.object({
    event: z.literal('fingerprint_changed'),
    client,
    source,
    was: z.string().nullable(),
    is: z.string().nullable(),
    outcome,
  }),
  /** No heartbeat from `from` to `to`. `fault`: whose absence it was. */
  z.object({
    event: z.literal('presence_gap'),
    client,
    source,
    from: time.nullable(),
    to: time,
    fault: z.enum(['client', 'server']),
    outcome,
  }),
  z.object({ event: z.literal('habit'), client, source, reason: words, outcome }),
  /** The client remembers record `seen`, which this log does not have. */
  z.object({ event: z.literal('server_rollback_suspected'), client, source, seen: z.number(), head: z.number() }),
  z.object({ event: z.literal('source_refused'), client, source, call: z.string() }),
  /** The first wait of a growing lock-out. No client: somebody without one, such as a guesser of enrolment codes. */
  z.object({ event: z.literal('lockout'), client: client.nullable(), source, call: z.string() }),
  /** No client: everybody. */
  z.object({ event: z.literal('killed'), client: client.nullable(), by: means, reason: words.nullable() }),
  z.object({ event: z.literal('revived'), client: client.nullable(), by: means }),
  /** `host`: what it calls itself. */
  z.object({ event: z.literal('client_enrolled'), client, source, host: words.nullable() }),
  z.object({ event: z.literal('client_reset'), client, was: z.string() }),
  z.object({
    event: z.literal('certificate_expiring'),
    client: client.nullable(),
    purpose: z.enum(['ca', 'server', 'client']),
    endsAt: time,
  }),
  /** What the host's watch told with a heartbeat: `at` and the versions of Nextcloud are the host's word. */
  z.object({
    event: z.literal('app_watch'),
    client,
    source,
    code: z.enum(noticeCodes),
    at: time,
    from: words.nullable(),
    to: words.nullable(),
  }),
  z.object({ event: z.literal('certificate_refused'), client: client.nullable(), source, reason: words }),
  z.object({
    event: z.literal('approval_decided'),
    client,
    approval: z.string(),
    gate: z.string(),
    decision: z.enum(['approved', 'denied']),
    by: means,
  }),
  z.object({ event: z.literal('approval_lapsed'), client, approval: z.string(), gate: z.string() }),
  /** Nothing can be written, so nothing is released; `until` is `null` while it lasts. */
  z.object({ event: z.literal('degraded'), since: time, until: time.nullable() }),
  /** After an end that was not in order: a crash, a power cut. `aliveAt`: when it last ran for sure. */
  z.object({ event: z.literal('server_started'), startedAt: time, aliveAt: time }),
  z.object({ event: z.literal('backup_failed'), reason: words, lastGood: time.nullable() }),
  /** `record`: the first that is not as it was written. */
  z.object({ event: z.literal('audit_broken'), record: z.number(), reason: words }),
  z.object({ event: z.literal('test') }),
]);

export type Alert = z.input<typeof alertSchema>;
export type AlertEvent = Alert['event'];
/** Parsed: what is kept, and what texts are made of. */
export type AlertFacts = z.output<typeof alertSchema>;

/** `critical`: act now. `warning`: look today. `info`: good to know, and a surprise if it was not you. */
export const severities = ['info', 'warning', 'critical'] as const;
export type Severity = (typeof severities)[number];

/** Foreign words on one line: no control characters, nothing that turns text around, at most 200 characters. */
function plain(text: string): string {
  return text
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
    .trim()
    .slice(0, 200);
}

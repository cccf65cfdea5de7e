import { mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import * as z from 'zod';
import { LatchkeyError } from '../../platform/errors.ts';
import { writeFileAtomic } from '../../platform/files.ts';
import { holdFile } from '../../platform/sqlite-lock.ts';

const count = z.int().min(0).max(1_000_000);
const moment = z.int();
const topicSchema = z.strictObject({
  /** Rounds in a row that were bad, and good. */
  bad: count,
  good: count,
  /** When somebody was told that it is bad; `null` while nobody was. */
  toldAt: moment.nullable(),
});
const restartSchema = z.strictObject({
  /** How often it was restarted without having stood since. */
  attempts: count.min(1),
  at: moment,
  /** Since when it is up again; `null` while it is not. */
  upSince: moment.nullable(),
});
const handshakeSchema = z.strictObject({ value: moment, seenAt: moment });
const noticeSchema = z.strictObject({
  id: z.string().max(4096),
  event: z.enum(['interface_down', 'handshake_stale', 'keyserver_silent']),
  over: z.boolean(),
  subject: z.string().max(4096),
  said: z.string().max(4096),
  at: moment,
  /** How long it lasted, of one that is over; milliseconds. */
  lasted: count.max(Number.MAX_SAFE_INTEGER).nullable(),
});
/** How often it was not taken, since when, and when last. */
const failedSchema = z.strictObject({ tries: count, since: moment, at: moment });
/** `to` is the name of a way out; there was but one when nothing was said of it. */
const waitingSchema = noticeSchema.extend({
  to: z.string().max(4096).default('command'),
  failed: failedSchema.optional(),
});
const schema = z.strictObject({
  version: z.literal(1),
  topics: z.record(z.string(), topicSchema),
  restarts: z.record(z.string(), restartSchema),
  handshakes: z.record(z.string(), handshakeSchema),
  /** What has not been handed over yet, by each way out oldest first. */
  waiting: z.array(waitingSchema).max(1000),
});

/** What one check leaves to the next one. Moments are milliseconds since 1970. */
export type CheckState = z.infer<typeof schema>;
export type TopicState = z.infer<typeof topicSchema>;
export type RestartState = z.infer<typeof restartSchema>;
export type CheckNotice = z.infer<typeof noticeSchema>;
export type WaitingNotice = z.infer<typeof waitingSchema>;
export type FailedTelling = z.infer<typeof failedSchema>;
export type CheckEvent = CheckNotice['event'];

export const NO_CHECK_YET: CheckState = { version: 1, topics: {}, restarts: {}, handshakes: {}, waiting: [] };

/**
 * What the check before left. Where there is nothing yet, and where it is damaged (`onDamage` is told), a check starts anew: it has
 * then told nobody anything. Throws `file_not_read` for a file that this user may not read.
 */
export function readCheckState(path: string, onDamage: () => void): CheckState {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return NO_CHECK_YET;
    throw new LatchkeyError('file_not_read', `${path} could not be read (${code ?? 'unknown'})`, { cause });
  }
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    onDamage();
    return NO_CHECK_YET;
  }
}

/**
 * Runs a check as the only one that has this state: two would count each round twice, and forget what the other told. Throws
 * `check_running` (exit 3), and `file_not_written`.
 */
export async function aloneWithState(path: string, check: () => Promise<void>): Promise<void> {
  makeFolder(path);
  const letGo = holdFile(`${path}.lock`);
  if (letGo === null) {
    throw new LatchkeyError('check_running', `another check is at work with ${path}`, {
      exit: 3,
      hint: 'it ends within minutes; a check of other things takes a file of its own by --state',
    });
  }
  try {
    await check();
  } finally {
    letGo();
  }
}

/** Replaces it as a whole; its folder is made, for its owner alone. Throws `file_not_written`. */
export function writeCheckState(path: string, state: CheckState): void {
  makeFolder(path);
  writeFileAtomic(path, `${JSON.stringify(state)}\n`, { mode: 0o600 });
}

function makeFolder(path: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new LatchkeyError('file_not_written', `${path} could not be written (${code ?? 'unknown'})`, { cause });
  }
}

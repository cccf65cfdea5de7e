import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { writeFileAtomic } from '../../platform/files.ts';
import { parseInput } from '../../platform/schema.ts';

const schema = z.strictObject({
  version: z.literal(1),
  /** The newest confirmed link. */
  current: z.string().length(43),
  /** A link that was issued and may or may not have been taken. */
  next: z.string().length(43).nullable(),
  /** The time of the last message sent; the next one must be later, whatever the clock says. */
  time: z.int().min(0),
  /** The highest audit head the server has shown. */
  seen: z.strictObject({ seq: z.int().min(0), head: z.string().length(64) }).nullable(),
});

/** What a chained client must not lose, and must have on disk before it goes on. */
export type LinkState = z.infer<typeof schema>;

export function readLinkState(path: string): LinkState {
  return parseInput(schema, JSON.parse(readFileSync(path, 'utf8')));
}

/** On disk when this returns. */
export function writeLinkState(path: string, state: LinkState): void {
  writeFileAtomic(path, `${JSON.stringify(state)}\n`, { mode: 0o600 });
}

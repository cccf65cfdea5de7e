import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { LatchkeyError } from '../../platform/errors.ts';
import { writeFileAtomic } from '../../platform/files.ts';

const peerSchema = z.strictObject({
  publicKey: z.string(),
  endpoint: z.string().nullable(),
  /** Milliseconds since 1970; `null` for never. */
  lastHandshake: z.int().nullable(),
  rx: z.int(),
  tx: z.int(),
});
const interfaceSchema = z.strictObject({
  name: z.string(),
  isUp: z.boolean(),
  addresses: z.array(z.string()),
  listenPort: z.int(),
  peers: z.array(peerSchema),
});
const schema = z.strictObject({ version: z.literal(1), at: z.int(), interfaces: z.array(interfaceSchema) });

/** What was seen of the machine's WireGuard interfaces, by somebody who may look: no key but public ones. */
export type Look = z.infer<typeof schema>;
export type SeenInterface = z.infer<typeof interfaceSchema>;

/** For the owner and the group: the service that tells of it is not the one that looks. */
export function writeLook(path: string, look: Look): void {
  writeFileAtomic(path, `${JSON.stringify(look)}\n`, { mode: 0o640 });
}

/** `null` where nobody has looked yet. Throws `look_unreadable`. */
export function readLook(path: string): Look | null {
  try {
    return schema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return null;
    const words = code === undefined ? 'is not what wgnode look writes' : `could not be read (${code})`;
    throw new LatchkeyError('look_unreadable', `${path} ${words}`, {
      cause,
      status: 503,
      hint: 'look whether wgnode look runs, and may be read by this user',
    });
  }
}

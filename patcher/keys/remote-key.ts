import * as z from 'zod';
import type { Occ } from '../actions/action.ts';
import { occJson } from '../occ.ts';

const id = z.string().min(1).max(128);
const problem = z.object({
  code: z.string(),
  message: z.string(),
  hint: z.string(),
  blocking: z.boolean().optional(),
});
const status = z.looseObject({
  enrolled: z.boolean(),
  clientId: z.string().nullable(),
  urls: z.array(z.string()),
  keys: z.array(id),
  hook: z.enum(['app', 'core', 'off']),
  version: z.string(),
  sessionsKeyFree: z.boolean(),
  problems: z.array(problem),
});
const preflight = z.object({
  mode: z.enum(['master', 'user']),
  masterKeyId: z.string().nullable(),
  privateKeys: z.array(
    z.object({
      id,
      bytes: z.int(),
      sha256: z.string(),
      local: z.boolean(),
      remote: z.boolean(),
      opens: z.boolean().nullable(),
    }),
  ),
  foreignShareKeys: z.int(),
  sample: z.array(z.string()),
  problems: z.array(problem),
});
const stored = z.object({ keys: z.array(z.object({ id, sha256: z.string(), key: z.string().optional() })) });
const proved = z.object({ release: z.boolean(), pair: z.boolean(), files: z.int() });
const removed = z.object({ removed: z.array(id), copies: z.array(z.string()) });
const written = z.object({ written: z.array(id), present: z.array(id), missing: z.array(id) });
const finished = z.object({ restored: z.array(id), decrypt: z.boolean(), files: z.int() });
const verified = z.object({ release: z.boolean(), decrypt: z.boolean(), ms: z.number(), verdict: z.string() });
const forgotten = z.object({ forgotten: z.boolean() });
const servers = z.object({ urls: z.array(z.string()), changed: z.boolean(), unchecked: z.array(z.string()) });
const enrolled = z.object({ clientId: z.string(), keys: z.array(id) });

export type AppStatus = z.infer<typeof status>;
export type Preflight = z.infer<typeof preflight>;
export type Problem = z.infer<typeof problem>;

/** What an exchange with the key server may take altogether, with a slow occ around it. */
const SLOW = { timeoutMs: 300_000 };

/**
 * The app's own occ commands. Secrets go through stdin; what the app refuses is thrown under its own code.
 */
export function remoteKey(occ: Occ) {
  const escrow = (stage: string): ['remotekey:escrow', string] => ['remotekey:escrow', `--stage=${stage}`];
  const json = (value: unknown): string => JSON.stringify(value);
  return {
    status: () => occJson(occ, ['remotekey:status'], status),
    enroll: (dir: string, input: { urls: readonly string[]; code: string; ca: string; replace: boolean }) =>
      occJson(occ, ['remotekey:enroll', `--dir=${dir}`], enrolled, { ...SLOW, input: json(input) }),
    /** The addresses of the key server; with `order` these from now on, each asked first. */
    servers: (order: { urls: readonly string[]; unchecked: boolean } | null = null) => {
      const words =
        order === null ? [] : [...order.urls.map((url) => `--set=${url}`), ...(order.unchecked ? ['--unchecked'] : [])];
      return occJson(occ, ['remotekey:servers', ...words], servers, SLOW);
    },
    preflight: () => occJson(occ, escrow('preflight'), preflight, { ...SLOW, mayFail: true }),
    /** Without a grant it only works when every key has arrived before. The keys themselves come back with it. */
    store: (grant: string | null) =>
      occJson(occ, escrow('store'), stored, {
        ...SLOW,
        input: json({ ...(grant === null ? {} : { grant }), withKeys: true }),
      }),
    prove: () => occJson(occ, escrow('prove'), proved, SLOW),
    remove: () => occJson(occ, escrow('remove'), removed, SLOW),
    /** `null` asks the key server for the keys; otherwise they are the owner's, id to base64. */
    restoreWrite: (keys: Readonly<Record<string, string>> | null) =>
      occJson(occ, ['remotekey:restore', '--stage=write'], written, {
        ...SLOW,
        input: json(keys === null ? {} : { keys }),
      }),
    restoreFinish: () => occJson(occ, ['remotekey:restore', '--stage=finish'], finished, SLOW),
    /** config.php keeps naming the folder, so that a run cut off after this still finds it. */
    forget: () => occJson(occ, ['remotekey:forget', '--keep-config'], forgotten),
    verify: () => occJson(occ, ['remotekey:verify'], verified, { ...SLOW, mayFail: true }),
  };
}

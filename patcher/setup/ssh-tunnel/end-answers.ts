import * as z from 'zod';
import { LatchkeyError } from '../../../platform/errors.ts';
import type { RunResult, Transport } from '../../transports/transport.ts';
import { tunnelInits } from './tunnel-service.ts';

const yes = z.enum(['yes', 'no']).transform((word) => word === 'yes');
const program = z.string().transform((path) => (path === 'none' ? null : path));
const whose = z.enum(['none', 'ours', 'foreign']);
/** Or that of a tunnel with this name, but of another Nextcloud. */
const ofWhom = z.enum(['none', 'ours', 'other', 'foreign']);
/** Type and base64, as in a `.pub` file. */
const publicKey = z.string().regex(/^(ssh|ecdsa|sk-ssh|sk-ecdsa)-[A-Za-z0-9@.-]+ [A-Za-z0-9+/]{40,4000}={0,2}$/);

/** The dialling end, as it is found. */
export const diallingLook = z.object({
  init: z.enum([...tunnelInits, 'none']),
  /** The folder with its key. */
  own: z.enum(['none', 'ours', 'other']),
  /** Other tunnels of that machine need the account. */
  shared: yes,
  /** Another tunnel is to listen on the same port of the server. */
  wanted: yes,
  ssh: program,
  keygen: program,
  account: whose,
  key: z.union([z.literal('none').transform(() => null), publicKey]),
  unfinished: yes,
});
export type DiallingLook = z.infer<typeof diallingLook>;

/** Whether everything of a tunnel is there that is known by then. */
export const diallingCheck = z.object({ service: ofWhom, same: yes, running: yes });

/** The dialled end, as it is found. */
export const dialledLook = z.object({
  system: z.string(),
  account: whose,
  sshd: program,
  dropins: yes,
  dropin: whose,
  /** The drop-in is for tunnels of the other direction. */
  otherway: yes,
  logins: whose,
  others: z.coerce.number().int(),
  shared: yes,
  wanted: yes,
  unfinished: yes,
  settled: yes.default(false),
  login: z.string().nullable().default(null),
});
export type DialledLook = z.infer<typeof dialledLook>;

export const keyAnswer = z.object({ key: publicKey });
export const listenerAnswer = z.object({ listener: whose });
export const trialAnswer = z.object({
  trial: z.enum(['in', 'other-host', 'denied', 'no-name', 'refused', 'silent', 'cut']),
});
export type Trial = z.infer<typeof trialAnswer>['trial'];
export const nothing = z.object({});

/** What was answered to a script: each name once, but for host keys. */
export interface Answer<T> {
  readonly values: T;
  /** Public, type and base64. */
  readonly hostKeys: readonly string[];
}

/** What a script has for itself, beside what it is told to wait for. */
const WORK_SECONDS = 120;

/** Runs a script on an end. Throws what the script says is wrong, in its words; `tunnel_failed` when it says nothing. */
export async function ask<T>(
  transport: Transport,
  script: string,
  words: readonly string[],
  schema: z.ZodType<T>,
  waitSeconds = 0,
): Promise<Answer<T>> {
  const timeoutMs = (WORK_SECONDS + waitSeconds) * 1_000;
  const result = await transport.run(['sh', '-s', '--', ...words], { input: script, timeoutMs });
  const lines = result.stdout.toString('utf8').split('\n');
  const hostKeys = lines.flatMap((line) => (line.startsWith('hostkey ') ? [line.slice(8)] : []));
  const pairs = lines.flatMap((line): [string, string][] => {
    const [, name, value] = /^([a-z]+) (.*)$/.exec(line) ?? [];
    return name === undefined || value === undefined || name === 'hostkey' ? [] : [[name, value]];
  });
  const said = Object.fromEntries(pairs);
  if (result.exit !== 0) throw failure(transport, said, result);
  const values = schema.safeParse(said);
  const keys = z.array(publicKey).safeParse(hostKeys);
  if (!values.success || !keys.success) throw failure(transport, {}, result);
  return { values: values.data, hostKeys: keys.data };
}

function failure(transport: Transport, said: Readonly<Record<string, string>>, result: RunResult): LatchkeyError {
  const { error = '', words = 'a part of the SSH tunnel could not be done', hint } = said;
  const code = /^[a-z][a-z_]{0,40}$/.test(error) ? error : 'tunnel_failed';
  return new LatchkeyError(code, `${transport.label}: ${words}`, {
    extra: { exit: result.exit, stderr: result.stderr.slice(-4096) },
    ...(hint === undefined ? {} : { hint }),
  });
}

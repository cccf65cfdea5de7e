import * as z from 'zod';
import { LatchkeyError } from '../../platform/errors.ts';
import { parsePublicKey } from '../keys.ts';

const yesOrNo = z.enum(['yes', 'no']).transform((word) => word === 'yes');
const age = z.union([z.literal('none'), z.literal('never'), z.string().regex(/^\d{1,12}$/)]);

const look = z.object({
  tools: yesOrNo,
  conf: z.enum(['none', 'agreed', 'ours', 'foreign']),
  draft: yesOrNo,
  'public-key': z.string().optional(),
  'peer-key': z.string().optional(),
  interface: z.enum(['none', 'ours', 'foreign']),
  boot: yesOrNo,
  init: z.enum(['systemd', 'openrc', 'none', 'launchd']),
  keeper: yesOrNo,
  keeps: z.enum(['systemd', 'cron.d', 'crontab', 'none', 'launchd']),
  firewall: z.enum(['', 'ufw', 'firewalld']),
  guard: z.enum(['none', 'in-force', 'absent', 'unfit']),
  handshake: age,
});

/** What is at one end of a pair. */
export interface PairLook {
  /** WireGuard's programs are installed. */
  readonly tools: boolean;
  /** The configuration: as agreed, of this pair but with other settings, of something else, or not there. */
  readonly conf: 'none' | 'agreed' | 'ours' | 'foreign';
  /** The pair was begun here, and its ends were never connected. */
  readonly draft: boolean;
  /** `null` while there is no key, or nothing that can read it. */
  readonly publicKey: string | null;
  /** The other end's, as it is configured here. */
  readonly peerKey: string | null;
  readonly interface: 'none' | 'ours' | 'foreign';
  /** It is started with the machine. */
  readonly boot: boolean;
  readonly init: 'systemd' | 'openrc' | 'none' | 'launchd';
  /** What looks after it is in place. */
  readonly keeper: boolean;
  /** What runs that. */
  readonly keeps: 'systemd' | 'cron.d' | 'crontab' | 'none' | 'launchd';
  /** The firewall that is in force here and can be asked by a program. */
  readonly firewall: 'ufw' | 'firewalld' | null;
  /**
   * What keeps the other end from everything but the port that this one serves: nothing is served here, it is in force, it is not there,
   * or this machine has nothing that could.
   */
  readonly guard: 'none' | 'in-force' | 'absent' | 'unfit';
  /** Seconds since the newest handshake; `null` for none yet, or no interface. */
  readonly handshakeAge: number | null;
}

/** Throws `pair_answer` for an answer that no script of ours gives. */
export function parseLook(stdout: string): PairLook {
  const answer = parsed(look, linesOf(stdout));
  return {
    tools: answer.tools,
    conf: answer.conf,
    draft: answer.draft,
    publicKey: answer['public-key'] === undefined ? null : key(answer['public-key']),
    peerKey: answer['peer-key'] === undefined ? null : key(answer['peer-key']),
    interface: answer.interface,
    boot: answer.boot,
    init: answer.init,
    keeper: answer.keeper,
    keeps: answer.keeps,
    firewall: answer.firewall === '' ? null : answer.firewall,
    guard: answer.guard,
    handshakeAge: /^\d/.test(answer.handshake) ? Number(answer.handshake) : null,
  };
}

/** The public key that `key` answers with. */
export function parseKeyAnswer(stdout: string): string {
  return key(parsed(z.object({ 'public-key': z.string() }), linesOf(stdout))['public-key']);
}

/** What `up`, `settle`, `undo` and `down` answer. */
export interface PairChange {
  readonly changed: boolean;
  /** Packages that were installed for the pair and are left where they are. */
  readonly stays: readonly string[];
}

export function parseChange(stdout: string): PairChange {
  const schema = z.object({
    changed: yesOrNo,
    stays: z
      .string()
      .regex(/^[ -~]*$/)
      .optional(),
  });
  const { changed, stays } = parsed(schema, linesOf(stdout));
  return { changed, stays: (stays ?? '').split(' ').filter((name) => name !== '') };
}

/** Why a script refused to begin, if it did. */
export function refusalIn(stdout: string): string | null {
  return /^refused ([a-z_]{1,40})$/m.exec(stdout)?.[1] ?? null;
}

function linesOf(stdout: string): Record<string, string> {
  const lines = stdout.split('\n').filter((line) => line !== '');
  return Object.fromEntries(
    lines.map((line) => {
      const space = line.indexOf(' ');
      return space < 0 ? [line, ''] : [line.slice(0, space), line.slice(space + 1).trim()];
    }),
  );
}

function parsed<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw strange();
}

function key(text: string): string {
  try {
    return parsePublicKey(text, 'public-key');
  } catch {
    throw strange();
  }
}

function strange(): LatchkeyError {
  return new LatchkeyError('pair_answer', 'one end of the pair gave an answer that is not understood here', {
    hint: 'a start-up file of the login shell that prints text does this',
  });
}

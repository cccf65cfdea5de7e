import type * as z from 'zod';
import { LatchkeyError } from '../platform/errors.ts';
import { parseInput } from '../platform/schema.ts';
import type { Occ } from './actions/action.ts';
import type { RunResult, Transport } from './transports/transport.ts';

/** What it takes to run occ of one Nextcloud. */
export interface OccPlace {
  readonly root: string;
  /** `NEXTCLOUD_CONFIG_DIR`, where the configuration is not in `<root>/config`. */
  readonly configDirectory: string | null;
  /** Owner of config.php: console.php refuses everybody else. */
  readonly user: string;
  readonly php: string;
}

/**
 * occ as the owner of config.php. Arguments of exceptions are kept out of its log whatever php.ini says, because some of
 * our calls hand it secrets; warnings of PHP go to stderr, so that they do not end up inside JSON; APCu is on, because
 * with `memcache.local` set to it occ stops without. The app's own commands run in maintenance mode too, which for their
 * process alone counts as off: what they do is wanted most while the web is closed.
 */
export function openOcc(transport: Transport, place: OccPlace): Occ {
  return (args, options = {}) =>
    transport.run(
      [
        ...wordsOf(place, args[0].startsWith('remotekey:') ? ['NC_maintenance=0'] : []),
        // what is asked is answered by the input, where there is one
        ...(options.input === undefined ? ['--no-interaction'] : []),
        ...args,
      ],
      {
        as: place.user,
        timeoutMs: options.timeoutMs ?? 120_000,
        ...(options.input === undefined ? {} : { input: options.input }),
      },
    );
}

/** The words that start the same occ; a command and its arguments follow. */
export function occWords(place: OccPlace): readonly [string, ...string[]] {
  return [...wordsOf(place, []), '--no-interaction'];
}

function wordsOf(place: OccPlace, more: readonly string[]): [string, ...string[]] {
  const directory = place.configDirectory === null ? [] : [`NEXTCLOUD_CONFIG_DIR=${place.configDirectory}`];
  const variables = [...directory, ...more];
  const program: [string, ...string[]] = variables.length === 0 ? [place.php] : ['env', ...variables, place.php];
  return [
    ...program,
    ...['-d', 'apc.enable_cli=1', '-d', 'zend.exception_ignore_args=1', '-d', 'display_errors=stderr'],
    `${place.root}/occ`,
    '--no-warnings',
  ];
}

/**
 * Runs occ and reads the JSON it ends with. What the app refuses with `{"error":{code,message,hint}}` is thrown under
 * the app's own code; any other failure is `occ_failed`. With `mayFail` an exit status other than 0 is part of the
 * answer, as where a check found something.
 */
export async function occJson<T>(
  occ: Occ,
  args: readonly [string, ...string[]],
  schema: z.ZodType<T>,
  options: { readonly input?: string; readonly timeoutMs?: number; readonly mayFail?: boolean } = {},
): Promise<T> {
  const result = await occ([...args, '--output=json'], options);
  const value = lastJson(result.stdout.toString('utf8'));
  const refusal = refusalIn(value);
  if (refusal !== null) throw refusal;
  if (value === undefined || (result.exit !== 0 && options.mayFail !== true)) throw occFailed(args, result);
  try {
    return parseInput(schema, value);
  } catch (cause) {
    throw new LatchkeyError('occ_answer_unknown', `"occ ${args[0]}" answered in a form that is not known`, { cause });
  }
}

/** Runs occ and wants exit status 0; returns what it wrote. */
export async function occText(
  occ: Occ,
  args: readonly [string, ...string[]],
  options: { readonly input?: string; readonly timeoutMs?: number } = {},
): Promise<string> {
  const result = await occ(args, options);
  if (result.exit !== 0) throw occFailed(args, result);
  return result.stdout.toString('utf8');
}

function occFailed(args: readonly string[], result: RunResult): LatchkeyError {
  return new LatchkeyError('occ_failed', `"occ ${args[0]}" ended with exit code ${result.exit}`, {
    hint: `run "occ ${args[0]}" on the server to see why, and look into nextcloud.log`,
    extra: {
      exit: result.exit,
      stdout: result.stdout.toString('utf8').slice(-2000),
      stderr: result.stderr.slice(-2000),
    },
  });
}

/** occ may print notices first; the JSON is its last line, or all of it when it is spread over several. */
export function lastJson(text: string): unknown {
  const trimmed = text.trim();
  for (const candidate of [trimmed, trimmed.slice(trimmed.lastIndexOf('\n') + 1)]) {
    try {
      return JSON.parse(candidate);
    } catch {
      // the next form, or none
    }
  }
  return undefined;
}

function refusalIn(value: unknown): LatchkeyError | null {
  if (typeof value !== 'object' || value === null || !('error' in value)) return null;
  const error = value.error;
  if (typeof error !== 'object' || error === null) return null;
  const { code, message, hint } = error as { code?: unknown; message?: unknown; hint?: unknown };
  if (typeof code !== 'string' || !/^[a-z][a-z0-9_]{0,63}$/.test(code) || typeof message !== 'string') return null;
  const line = (text: string): string => text.replaceAll(/[^\P{C}]+/gu, ' ').slice(0, 500);
  return new LatchkeyError(code, line(message), typeof hint === 'string' && hint !== '' ? { hint: line(hint) } : {});
}

import type { Facts } from '../facts.ts';
import type { Workplace } from '../workplace.ts';
import { watchFolder, watchPathsOutside } from './watch-files.ts';
import { isWatched } from './watch-plan.ts';

/** How the watch on the target stands. Times are milliseconds since 1970. */
export interface WatchStatus {
  readonly installed: boolean;
  /** What starts it. */
  readonly startedBy: readonly string[];
  readonly looked: { readonly at: number; readonly found: string } | null;
  readonly repaired: {
    readonly at: number;
    /** `release`: shown by a key from the key server; `loaded`: no key was away, or none could be had. */
    readonly proof: string;
    readonly seconds: number;
    readonly from: string | null;
    readonly to: string | null;
  } | null;
  readonly failing: {
    readonly failures: number;
    readonly code: string;
    readonly message: string;
    /** When it is tried again. */
    readonly next: number;
  } | null;
  /** The web is closed because the app could not be put back. */
  readonly closed: boolean;
}

/** Reads what the script has left in its folder. */
export async function watchStatusOf(place: Workplace, facts: Facts): Promise<WatchStatus> {
  const folder = watchFolder(facts.instanceId);
  const installed = isWatched(facts);
  const words = async (name: string): Promise<string[] | null> => {
    if (!installed) return null;
    const text = await place.instance.machine.readFile(`${folder}/${name}`, { max: 4096 });
    return text === null ? null : text.toString('utf8').trim().split(' ');
  };
  const [looked, repaired, failing] = [await words('looked'), await words('repaired'), await words('back-off')];
  const closed = installed && (await place.instance.machine.stat(`${folder}/closed`)) !== null;
  const startedBy = watchPathsOutside(facts.instanceId).filter((path) => facts.watch?.files[path] !== undefined);
  return {
    installed,
    startedBy,
    looked: looked === null ? null : { at: numberOf(looked[0]), found: looked.slice(1).join(' ') },
    repaired: repairOf(repaired),
    failing: failureOf(failing),
    closed,
  };
}

/** `at streak proof seconds from to`; `-` where a version is not known. */
function repairOf(words: string[] | null): WatchStatus['repaired'] {
  if (words === null) return null;
  const [at, , proof = '', seconds, from, to] = words;
  return { at: numberOf(at), proof, seconds: numberOf(seconds), from: versionOf(from), to: versionOf(to) };
}

/** `failures next code message` */
function failureOf(words: string[] | null): WatchStatus['failing'] {
  if (words === null) return null;
  const [failures, next, code = '', ...message] = words;
  return { failures: numberOf(failures), next: numberOf(next) * 1000, code, message: message.join(' ') };
}

/** The folder is root's, and its files are written whole: what is no number was never ours. */
function numberOf(text: string | undefined): number {
  return text !== undefined && /^[0-9]{1,15}$/.test(text) ? Number(text) : 0;
}

function versionOf(text: string | undefined): string | null {
  return text === undefined || text === '-' || text === '' ? null : text;
}

/** For people. */
export function watchLines(status: WatchStatus): [string, string | readonly string[]][] {
  const { installed, startedBy, looked, repaired, failing, closed } = status;
  if (!installed) return [['watch', 'not installed']];
  const time = (at: number): string => new Date(at).toISOString().replace(/\.\d{3}Z$/, 'Z');
  const versions = repaired === null || repaired.from === null ? '' : `, ${repaired.from} to ${repaired.to ?? '?'}`;
  return [
    ['watch', startedBy],
    ['last look', looked === null ? 'none yet' : `${time(looked.at)}: ${looked.found}`],
    [
      'last repair',
      repaired === null
        ? 'none'
        : `${time(repaired.at)} in ${repaired.seconds} s, ${repaired.proof === 'release' ? 'proved by a release' : 'the app is loaded'}${versions}`,
    ],
    [
      'failing',
      failing === null
        ? 'no'
        : `${failing.failures} times: ${failing.message} (${failing.code}); again at ${time(failing.next)}`,
    ],
    ...(closed ? [['web', 'closed by the watch, as the app is away'] as [string, string]] : []),
  ];
}

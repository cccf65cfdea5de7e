import { isRevision } from './snap-places.ts';

/** One line of `snap list --all`. */
export interface SnapRevision {
  readonly name: string;
  readonly version: string;
  readonly revision: string;
  /** The channel that refreshes come from; `null` for a snap that was installed from a file. */
  readonly tracking: string | null;
  /** `disabled`, `held`, `devmode`, `try`, `broken`, …; a revision that is not in use is `disabled` too. */
  readonly notes: readonly string[];
}

const LIST_HEADER = ['Name', 'Version', 'Rev', 'Tracking', 'Publisher', 'Notes'];

/**
 * Reads `snap list --all` under LC_ALL=C. Lines of another shape are left out: versions and names of other snaps are
 * nobody's business here. `null` when the text is no such list.
 */
export function parseSnapList(text: string): SnapRevision[] | null {
  const [header = '', ...lines] = text.split('\n');
  if (!sameWords(header, LIST_HEADER)) return null;
  return lines.flatMap((line) => {
    const [name = '', version = '', revision = '', tracking = '', publisher, notes, ...more] = words(line);
    if (publisher === undefined || notes === undefined || more.length > 0 || !isRevision(revision)) return [];
    return [{ name, version, revision, tracking: tracking === '-' ? null : tracking, notes: notesOf(notes) }];
  });
}

/** One line of `snap services`. */
export interface SnapService {
  /** Without the snap's name: `php-fpm`. */
  readonly name: string;
  readonly enabled: boolean;
  readonly active: boolean;
}

/** Reads `snap services nextcloud`; `null` when the text is no such list. */
export function parseSnapServices(text: string): SnapService[] | null {
  const [header = '', ...lines] = text.split('\n');
  if (!sameWords(header, ['Service', 'Startup', 'Current', 'Notes'])) return null;
  return lines.flatMap((line) => {
    const [service = '', startup, current, notes] = words(line);
    const name = /^[^.]+\.([a-z0-9-]+)$/.exec(service)?.[1];
    if (name === undefined || notes === undefined) return [];
    return [{ name, enabled: startup === 'enabled', active: current === 'active' }];
  });
}

/** Until when snapd refreshes nothing at all, in its own words (`forever`, `tomorrow at …`), by `snap refresh --time`. */
export function parseSystemHold(text: string): string | null {
  const held = /^hold: +(\S.{0,99})$/m.exec(text)?.[1]?.trim() ?? null;
  return held === null || held === 'n/a' ? null : held;
}

/**
 * occ of the snap tells on stdout what it waits for, before it starts and in front of what was asked for. Other text is
 * left as it is.
 */
export function withoutWaiting(stdout: Buffer): Buffer {
  const found = /^(?:Waiting for [\w ]{1,60}\.\.\. ?(?:\n|done\n|(?=Waiting))(?:done\n)?)+/.exec(
    stdout.subarray(0, 4096).toString('latin1'),
  );
  return found === null ? stdout : stdout.subarray(found[0].length);
}

function words(line: string): string[] {
  return line.split(/\s+/).filter((word) => word !== '');
}

function sameWords(line: string, wanted: readonly string[]): boolean {
  const found = words(line);
  return found.length === wanted.length && found.every((word, i) => word === wanted[i]);
}

function notesOf(text: string): string[] {
  return text === '-' ? [] : text.split(',').filter((note) => note !== '');
}

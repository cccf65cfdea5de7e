import { appendFile, readFile } from 'node:fs/promises';
import { isLatchkeyError } from '../../platform/errors.ts';
import type { LocalApp } from '../app-files.ts';
import { apply } from '../apply.ts';
import type { JournalDeps } from '../journal/transaction.ts';
import type { Workplace } from '../workplace.ts';

/** What one unattended `apply` came to. */
export interface NowReport {
  readonly outcome: 'fine' | 'waiting' | 'applied' | 'unproved' | 'failed';
  /** One line, without the time; `null` when there is nothing to say. */
  readonly line: string | null;
}

/**
 * One `apply` while nobody is there. It leaves a Nextcloud alone that is being upgraded: `apply` by itself would work behind
 * maintenance mode, as whoever runs it knows what goes on.
 */
export async function applyNow(open: () => Promise<Workplace>, app: LocalApp, deps: JournalDeps): Promise<NowReport> {
  let place: Workplace | null = null;
  try {
    place = await open();
    const { maintenance, databaseVersion, version } = await place.facts();
    if (maintenance || databaseVersion !== version.version) return { outcome: 'waiting', line: null };
    const { changed, done, verification } = await apply(place, app, deps);
    const { untried } = verification;
    const what = changed ? `applied: ${done.join('; ')}` : null;
    if (untried === null) return { outcome: changed ? 'applied' : 'fine', line: what };
    const why = `no key could be released: ${untried.message} (${untried.code})`;
    return { outcome: 'unproved', line: what === null ? why : `${what}; ${why}` };
  } catch (error) {
    if (!isLatchkeyError(error)) throw error;
    return {
      outcome: 'failed',
      line: `${error.message} (${error.code})${error.hint === undefined ? '' : `; ${error.hint}`}`,
    };
  } finally {
    await place?.close();
  }
}

const TIMED = /^\S+ /;

/** Appends a line with the time to a log, unless it says what the line before says. */
export async function logOnce(log: string, line: string, now: number): Promise<boolean> {
  const text = await readFile(log, 'utf8').catch(() => '');
  const last = text.trimEnd().split('\n').at(-1) ?? '';
  if (last.replace(TIMED, '') === line) return false;
  await appendFile(log, `${new Date(now).toISOString()} ${line}\n`, { mode: 0o600 });
  return true;
}

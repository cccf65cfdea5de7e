import { linkSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { uptime } from 'node:os';
import { LatchkeyError } from '../../platform/errors.ts';
import { processLives } from '../../platform/process-lives.ts';

/** A clock may be set by as much while a machine starts. */
const SLACK_MS = 60_000;

/** Runs `work` as the only process of this machine that holds the file. Throws `setup_running` (exit 3). */
export async function aloneHere<T>(lock: string, work: () => Promise<T>): Promise<T> {
  take(lock);
  try {
    return await work();
  } finally {
    rmSync(lock, { force: true });
  }
}

function take(lock: string): void {
  for (let tries = 0; ; tries += 1) {
    try {
      // whole from the first moment: whoever finds it finds a number in it
      const own = `${lock}.${process.pid}`;
      writeFileSync(own, `${process.pid}\n`, { mode: 0o600 });
      try {
        linkSync(own, lock);
      } finally {
        rmSync(own, { force: true });
      }
      return;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
      if (code !== 'EEXIST') {
        const hint = 'is the disk full, or the folder somebody else’s?';
        throw new LatchkeyError('file_not_written', `${lock} could not be written (${code})`, { hint, cause: error });
      }
      if (tries > 0 || isHeld(lock)) throw running(lock);
      rmSync(lock, { force: true });
    }
  }
}

/**
 * What was there before this machine was started is nobody's, whatever process has that number by now. What cannot be read may be
 * somebody's.
 */
function isHeld(lock: string): boolean {
  try {
    const pid = Number(readFileSync(lock, 'utf8'));
    const isOfBefore = statSync(lock).mtimeMs < Date.now() - uptime() * 1000 - SLACK_MS;
    return !isOfBefore && Number.isInteger(pid) && pid > 0 && processLives(pid);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOENT';
  }
}

function running(lock: string): LatchkeyError {
  let who = '';
  try {
    const since = statSync(lock).mtime.toISOString();
    who = ` (process ${readFileSync(lock, 'utf8').trim().slice(0, 20)}, since ${since})`;
  } catch {
    // it has ended since
  }
  return new LatchkeyError('setup_running', `another setup of this server runs on this machine${who}`, {
    exit: 3,
    hint: `wait for its end; if there is none: rm ${lock}`,
  });
}

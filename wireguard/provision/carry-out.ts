import { isLatchkeyError, LatchkeyError } from '../../platform/errors.ts';
import { run } from '../../platform/run.ts';
import type { ShellArgv } from './place.ts';
import { STATE } from './script.ts';

/** Everything was there already, or rules wait for their confirmation. */
export type Readied = 'unchanged' | 'waiting';

/** Told what a script says, as it says it. */
export interface Listener {
  readonly onStdout: (chunk: Buffer) => void;
  readonly onStderr: (chunk: Buffer) => void;
}

/** Package managers take their time. */
const READY_MS = 1_200_000;

/** Runs the script on a machine. Throws `provision_failed`, and `provision_refused` (exit 3) for what would not have been safe. */
export async function ready(place: ShellArgv, script: string, listener: Listener): Promise<Readied> {
  const { exit, stdout } = await run(place, { input: script, timeoutMs: READY_MS, allowExit: 'any', ...listener });
  if (exit === 0) return /^waiting \d+ seconds/m.test(stdout.toString('utf8')) ? 'waiting' : 'unchanged';
  if (exit === 3) throw new LatchkeyError('provision_refused', 'nothing was done: it would not be safe', { exit: 3 });
  if (exit === 255 && place[0] === 'ssh') {
    throw new LatchkeyError('provision_failed', 'ssh did not get there, or was cut off', {
      hint: 'what was before comes back by itself, if anything was changed; try: ssh -o BatchMode=yes HOST sudo -n true',
    });
  }
  throw new LatchkeyError('provision_failed', `the script ended with exit code ${exit}`, {
    hint: 'its own words are above; what it had done is undone',
  });
}

const decision = (word: string): string => `if [ ! -e ${STATE}/guard.sh ]; then
  echo 'error: nothing waits for a confirmation' >&2
  exit 1
fi
exec sh ${STATE}/guard.sh ${word} </dev/null
`;

/** What is decided may take as long as a unit of wg-quick does to start. */
const DECIDE_MS = 180_000;

/**
 * Has rules that wait made permanent, or put back. Throws `provision_unconfirmed` when nobody got there, or too late, and
 * `provision_undecided` when there was no answer in time.
 */
export async function decide(
  place: ShellArgv,
  word: 'confirm' | 'abandon',
  listener: Listener,
  timeoutMs = DECIDE_MS,
): Promise<void> {
  const answered = await run(place, { input: decision(word), timeoutMs, allowExit: 'any', ...listener }).catch(
    (cause: unknown) => {
      if (isLatchkeyError(cause, 'command_timeout')) return null;
      throw cause;
    },
  );
  if (answered === null) {
    throw new LatchkeyError('provision_undecided', 'there was no answer in time: what became of it is not known yet', {
      hint: 'do again what had these rules loaded: it says whether they wait, or are in place, and loads them when they are gone',
    });
  }
  if (answered.exit === 0) return;
  const words = word === 'confirm' ? 'nothing was confirmed' : 'nothing was put back now';
  throw new LatchkeyError('provision_unconfirmed', words, {
    hint: 'what was before comes back by itself, or is back already',
  });
}

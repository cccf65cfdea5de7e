import { LatchkeyError } from '../../platform/errors.ts';
import { run } from '../../platform/run.ts';
import type { CheckEvent, CheckNotice } from './check-state.ts';

const LIMIT_MS = 15_000;
const LIMIT_BYTES = 1_048_576;

/** The program and its arguments, split at spaces: no shell reads them. Throws `usage`. */
export function parseAlertCommand(text: string): readonly [string, ...string[]] {
  const [program = '', ...words] = text.split(' ').filter((word) => word !== '');
  if (program.startsWith('/') && text.length <= 4096 && !/\p{Cc}/u.test(text)) return [program, ...words];
  throw new LatchkeyError('usage', '"--alert-command" must begin with the absolute path of a program', {
    exit: 2,
    field: '--alert-command',
    hint: 'it is split at spaces, and no shell reads it',
  });
}

/** Pure: a notice as the program gets it; the members are those of a key server's alerts, so that one program can take both. */
export function alertBody({ id, event, over, subject, said, at, lasted }: CheckNotice, host: string) {
  const severity = over ? 'info' : event === 'keyserver_silent' ? 'critical' : 'warning';
  const title = `${host}: ${over ? 'over: ' : ''}${said}`;
  const { done, todo } = TEXTS[event];
  const happened = over ? `It is over after ${minutes(lasted ?? 0)}: ${said}.` : `${title}.`;
  const texts = { happened, done: over ? 'nothing' : done, todo: over ? 'nothing' : todo.replaceAll('NAME', subject) };
  const text = `${happened}\n\nDone by itself: ${texts.done}\nYou can: ${texts.todo}\n\n${severity}, ${moment(at)}, ${host}`;
  const facts = { subject, over, lasted };
  const alert = { event, severity, title, ...texts, raisedAt: at, earlier: 0, facts };
  return { version: 1, id: `${host} ${id}`, server: host, severity, title, text, alerts: [alert] };
}

const TEXTS: Readonly<Record<CheckEvent, { readonly done: string; readonly todo: string }>> = {
  interface_down: {
    done: 'it was restarted, or will be, unless --no-restart was given; less and less often as long as that does not help',
    todo: 'look why it does not stay: journalctl -u wg-quick@NAME, wg show NAME',
  },
  handshake_stale: {
    done: 'nothing: the interface is up and goes on trying',
    todo: 'look whether the other side runs, and whether UDP gets there; a tunnel without PersistentKeepalive is silent when nobody uses it',
  },
  keyserver_silent: {
    done: 'nothing',
    todo: 'look whether the key server runs and its vault is open: keyserver status, keyserver doctor',
  },
};

/**
 * Hands over what waits, oldest first, each to a run of its own with JSON on its standard input. Exit code 0: it was delivered. Answers
 * what is left, and why.
 */
export async function handOver(
  waiting: readonly CheckNotice[],
  argv: readonly [string, ...string[]],
  host: string,
): Promise<{ readonly left: readonly CheckNotice[]; readonly failure: unknown }> {
  for (const [at, notice] of waiting.entries()) {
    try {
      const input = `${JSON.stringify(alertBody(notice, host))}\n`;
      await run(argv, { input, timeoutMs: LIMIT_MS, maxBytes: LIMIT_BYTES });
    } catch (failure) {
      return { left: waiting.slice(at), failure };
    }
  }
  return { left: [], failure: null };
}

function minutes(ms: number): string {
  const whole = Math.round(ms / 60_000);
  return whole === 1 ? '1 minute' : `${whole} minutes`;
}

function moment(at: number): string {
  return new Date(at).toISOString().replace(/\.\d{3}Z$/, 'Z');
}

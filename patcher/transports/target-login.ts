import { randomBytes } from 'node:crypto';
import { LatchkeyError } from '../../platform/errors.ts';
import { type Elevation, elevate } from './elevation.ts';
import type { Prompter } from './prompter.ts';
import { type Exec, ShellTransport } from './shell-transport.ts';
import type { RunResult, TargetUser } from './transport.ts';

const PROBE_LIMITS = { timeoutMs: 30_000, maxBytes: 65_536 };
const PASSWORD_TRIES = 3;

/** Words that only a POSIX shell hands on unchanged; fish and csh read backslashes and exclamation marks their own way. */
const SHELL_TEST = 'a\\\\b\'c"d!e$f';

const PROBE = `
id -u; id -g; id -un
command -v runuser >/dev/null 2>&1 && echo runuser || echo su
timeout -k 5 9 true >/dev/null 2>&1 && echo ends || echo stays
printf "%s\\n" "$1"`;

/**
 * Turns a way to run programs into a transport: finds out whether sudo is needed and wants a password, who we are then,
 * and whether the login shell passes words on as a POSIX shell does.
 */
export async function loginToTarget(options: {
  readonly label: string;
  readonly exec: Exec;
  readonly sudo: boolean;
  readonly prompter: Prompter | null;
  readonly close: () => Promise<void>;
}): Promise<ShellTransport> {
  const { label, exec, close } = options;
  const plain: Elevation = { by: 'login', marker: randomBytes(16).toString('hex') };
  const me = await probe(options, plain);
  const elevation = options.sudo && me.user.uid !== 0 ? await findSudo(options, plain) : plain;
  const acting = elevation.by === 'login' ? me : await probe(options, elevation);
  if (elevation.by !== 'login' && acting.user.uid !== 0) {
    throw new LatchkeyError('sudo_refused', `sudo on ${label} does not lead to root`);
  }
  return new ShellTransport({ label, exec, close, elevation, ...acting });
}

async function findSudo(options: Parameters<typeof loginToTarget>[0], plain: Elevation): Promise<Elevation> {
  const { label, exec, prompter } = options;
  const free = await tryElevation(exec, { ...plain, by: 'sudo' });
  if (free.exit === 0) return { ...plain, by: 'sudo' };
  if (/must have a tty/.test(free.stderr)) {
    throw new LatchkeyError('sudo_needs_tty', `sudo on ${label} is set to work at a terminal only`, {
      hint: 'take "requiretty" away for this user in sudoers, or log in as root',
    });
  }
  if (free.exit === 127)
    throw new LatchkeyError('sudo_missing', `there is no sudo on ${label}`, { hint: 'log in as root' });
  if (prompter === null) {
    throw new LatchkeyError(
      'sudo_refused',
      `sudo on ${label} wants a password and there is no terminal to ask for it`,
      {
        hint: 'run at a terminal, log in as root, or allow the user sudo without a password',
      },
    );
  }
  for (let tries = 0; tries < PASSWORD_TRIES; tries++) {
    const password = await prompter.ask(`sudo password on ${label}`, { secret: true });
    if (password === null) break;
    const elevation: Elevation = { ...plain, by: 'password', password };
    if (!/[\n\0]/.test(password) && (await tryElevation(exec, elevation)).exit === 0) return elevation;
  }
  throw new LatchkeyError('sudo_refused', `sudo on ${label} did not accept this user or password`);
}

function tryElevation(exec: Exec, elevation: Elevation): Promise<RunResult> {
  const { argv, input } = elevate(elevation, ['true'], Buffer.alloc(0));
  return exec(argv, { input, ...PROBE_LIMITS });
}

async function probe(
  options: { readonly label: string; readonly exec: Exec },
  elevation: Elevation,
): Promise<{ user: TargetUser; becomeWith: 'runuser' | 'su'; hasTimeout: boolean }> {
  const { argv, input } = elevate(elevation, ['sh', '-c', PROBE, 'sh', SHELL_TEST], Buffer.alloc(0));
  const result = await options.exec(argv, { input, ...PROBE_LIMITS });
  const [uid = '', gid = '', name = '', become, late, echoed, ...rest] = result.stdout.toString('utf8').split('\n');
  const whole = /^[0-9]{1,10}$/.test(uid) && /^[0-9]{1,10}$/.test(gid) && name !== '' && rest.join('') === '';
  if (result.exit !== 0 || echoed !== SHELL_TEST || !whole) {
    throw new LatchkeyError('shell_unsuitable', `${options.label} does not run commands through a POSIX shell`, {
      hint: 'a start-up file of the login shell that prints text does this too; use another user or fix the shell',
    });
  }
  return {
    user: { uid: Number(uid), gid: Number(gid), name },
    becomeWith: become === 'runuser' ? 'runuser' : 'su',
    hasTimeout: late === 'ends',
  };
}

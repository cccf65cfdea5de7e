import { LatchkeyError } from '../../platform/errors.ts';

type Argv = readonly [string, ...string[]];

/** How a program is started as root or as another user of the target. */
export interface Elevation {
  /** `login`: as whoever logged in; `sudo`: as root, sudo asks for no password; `password`: as root, with this one. */
  readonly by: 'login' | 'sudo' | 'password';
  readonly password?: string;
  /** A word that is on no line of any input, random for each connection. */
  readonly marker: string;
}

export interface Elevated {
  readonly argv: Argv;
  readonly input: Buffer;
}

/**
 * sudo reads the password from stdin only if it needs one (a NOPASSWD rule may say otherwise), and whatever it leaves
 * there would reach the program. So the program is started by a shell that drops lines up to and including the marker.
 */
const DROP_TO_MARKER =
  'marker=$1; shift; while IFS= read -r line; do [ "$line" != "$marker" ] || exec "$@"; done; exit 1';

/** The command and stdin that run `argv` elevated. The password is in the stdin, never in the command; a program that is missing is 127. */
export function elevate(elevation: Elevation, argv: Argv, input: Buffer): Elevated {
  if (elevation.by === 'login') return { argv, input };
  if (elevation.by === 'sudo') return { argv: ['sudo', '-n', '--', 'sh', '-c', 'exec "$@"', 'sh', ...argv], input };
  const head = Buffer.from(`${elevation.password ?? ''}\n${elevation.marker}\n`);
  const start: Argv = ['sudo', '-k', '-S', '-p', '', '--', 'sh', '-c', DROP_TO_MARKER, 'sh', elevation.marker, ...argv];
  return { argv: start, input: Buffer.concat([head, input]) };
}

const USER = /^[A-Za-z0-9_][A-Za-z0-9_.@\\+-]{0,254}\$?$/;

/** For root: run `argv` as another user. `su` is the fallback where there is no runuser (busybox). */
export function becomeUser(user: string, tool: 'runuser' | 'su', argv: Argv): Argv {
  if (!USER.test(user)) {
    throw new LatchkeyError('invalid_user', 'the user to act as has a name that no system would have', {
      hint: 'a numeric owner without a name needs an entry in /etc/passwd',
    });
  }
  if (tool === 'runuser') return ['runuser', '-u', user, '--', ...argv];
  return ['su', '-s', '/bin/sh', '-c', 'exec "$0" "$@"', user, ...argv];
}

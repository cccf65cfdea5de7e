import type { Command } from 'commander';
import type { CommandIo } from './command-io.ts';
import { askSecret } from './command-line.ts';
import { LatchkeyError } from './errors.ts';
import { readSecretFile } from './files.ts';
import { assertPassword } from './password.ts';

export interface PasswordOptions {
  readonly passwordFile?: string;
}

/** Adds the option by which a new password comes without a terminal. */
export function withPasswordOption(command: Command): Command {
  return command.option('--password-file <file>', 'the password in FILE (mode 0600); without it, it is asked for');
}

/** A new password by the option, or asked for twice. Throws `password_refused`, `password_differs`, `no_terminal`. */
export async function newPassword({ passwordFile }: PasswordOptions, io: CommandIo): Promise<string> {
  const given = passwordFile === undefined ? await askTwice(io) : passwordIn(passwordFile);
  assertPassword(given);
  return given;
}

function passwordIn(path: string): string {
  const text = readSecretFile(path, { max: 4096 })
    .toString('utf8')
    .replace(/\r?\n$/, '');
  if (!/[\r\n]/.test(text)) return text;
  throw new LatchkeyError('invalid_request', '"--password-file" must hold one line', {
    exit: 2,
    field: '--password-file',
  });
}

async function askTwice(io: CommandIo): Promise<string> {
  const hint = 'use --password-file FILE';
  const first = await askSecret(io.terminal, 'new password', hint);
  if (first === (await askSecret(io.terminal, 'again', hint))) return first;
  throw new LatchkeyError('password_differs', 'the two passwords differ', { exit: 2 });
}

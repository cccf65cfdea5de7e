import { LatchkeyError } from '../../platform/errors.ts';

/** A program that takes a script of sh by its standard input, and runs it as root. */
export type ShellArgv = readonly [string, ...string[]];

/** This machine, as whoever runs this. */
export const HERE: ShellArgv = ['sh', '-s'];

/**
 * Pure: another machine, by the system's own ssh with its own configuration, or the one in `config`. A key that is not known of
 * the host is refused, whatever that configuration says, and each call is a connection of its own: one that another left open would prove
 * nothing. Whoever is not root there needs sudo without a password. Throws `invalid_request`.
 */
export function overSsh(target: string, config?: string): ShellArgv {
  if (!/^(ssh:\/\/)?[A-Za-z0-9_[][A-Za-z0-9_.:@%[\]-]*$/.test(target)) {
    throw new LatchkeyError('invalid_request', '"--ssh" must be USER@HOST, or ssh://USER@HOST:PORT', {
      exit: 2,
      field: '--ssh',
    });
  }
  const settings = ['BatchMode=yes', 'StrictHostKeyChecking=yes', 'ControlMaster=no', 'ControlPath=none'];
  const options = [...settings, 'ConnectTimeout=10', 'ServerAliveInterval=10'].flatMap((one) => ['-o', one]);
  const isRoot = target.replace('ssh://', '').startsWith('root@');
  const shell = isRoot ? ['sh', '-s'] : ['sudo', '-n', 'sh', '-s'];
  return ['ssh', ...options, ...(config === undefined ? [] : ['-F', config]), '--', target, ...shell];
}

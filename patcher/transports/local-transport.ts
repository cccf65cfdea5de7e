import { isLatchkeyError } from '../../platform/errors.ts';
import { run } from '../../platform/run.ts';
import type { Prompter } from './prompter.ts';
import type { Exec } from './shell-transport.ts';
import { loginToTarget } from './target-login.ts';
import type { Transport } from './transport.ts';

/** This machine; with `sudo` everything runs as root through sudo. Same scripts as over SSH, so that both behave alike. */
export function openLocalTransport(options: { sudo?: boolean; prompter: Prompter | null }): Promise<Transport> {
  return loginToTarget({
    label: 'this machine',
    exec: execHere,
    sudo: options.sudo ?? false,
    prompter: options.prompter,
    close: async () => undefined,
  });
}

const execHere: Exec = async (argv, options) => {
  try {
    return await run(argv, { ...options, allowExit: 'any' });
  } catch (error) {
    if (isLatchkeyError(error, 'command_missing')) return { exit: 127, stdout: Buffer.alloc(0), stderr: '' };
    throw error;
  }
};

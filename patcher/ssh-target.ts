import type { SshTarget } from './ssh-transport.ts';

/** `user@host[:port]`, `user@[v6][:port]`; `invalid_ssh_target` (exit 2) for anything else. */
export declare function parseSshTarget(text: string): SshTarget;

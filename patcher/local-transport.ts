import type { Prompter } from './ssh-transport.ts';
import type { Transport } from './transport.ts';

/** This machine; with `sudo` everything runs as root through sudo. */
export declare function openLocalTransport(options: { sudo?: boolean; prompter: Prompter | null }): Promise<Transport>;

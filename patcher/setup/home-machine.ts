import type { Transport } from '../transports/transport.ts';

export type HomePlatform = 'linux' | 'macos';

/** The machine that keeps the key, and how Latchkey's programs are started on it. */
export interface HomeMachine {
  readonly transport: Transport;
  readonly platform: HomePlatform;
  /** What starts a key server there, before its arguments: `/usr/local/bin/keyserver`, or Node and a file of this clone. */
  readonly keyserver: readonly [string, ...string[]];
}

import type { Kysely } from 'kysely';
import type { Clock, RandomBytes } from '../platform/clock.ts';
import type { DenialLog } from '../platform/denials.ts';
import type { Log } from '../platform/log.ts';
import type { RateLimiter } from '../platform/rate.ts';
import type { Store } from '../platform/store.ts';
import type { Vault } from '../platform/vault/vault.ts';
import type { Sessions } from './calls/sessions.ts';
import type { Authorities } from './certificates/authorities.ts';
import type { CodeBook } from './code-book.ts';
import type { Metrics } from './metrics.ts';
import type { OwnTime } from './presence/own-time.ts';
import type { Database } from './schema.ts';

/**
 * Everything a handler of the wire protocol is given. One object for the life of the process; what a command on the side
 * may change is not in here but read in each transaction.
 */
export interface Custody {
  readonly store: Store<Database>;
  /** `null` while the vault is sealed. */
  readonly vault: () => Vault | null;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly log: Log;
  readonly limiter: RateLimiter;
  readonly sessions: Sessions;
  readonly codeBook: CodeBook;
  readonly denials: DenialLog;
  readonly metrics: Metrics;
  readonly authorities: Authorities;
  /** When the server itself was away. */
  readonly ownTime: OwnTime;
  /** Where a person answers an approval in a browser. */
  readonly approvalPage: (approval: string) => string;
  /** Whether the file KILL lies in the data directory, asked anew for requests that come later. */
  readonly killFile: () => boolean;
  /** Whether `grant` (32 bytes) lets `client` store a key now; counts as its use. In the transaction that stores the key. */
  readonly redeemGrant: (tx: Kysely<Database>, client: string, grant: Uint8Array, now: number) => Promise<boolean>;
}

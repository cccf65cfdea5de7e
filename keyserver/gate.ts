import type { Freshness, Standing } from './chain.ts';
import type { Client } from './client.ts';
import type { RateView } from './rate.ts';
import type { TotpCode } from './totp.ts';

/** Which call is being judged: `key` is the basic profile's GET, `store` the PUT of a key. */
export type CallKind = 'open' | 'release' | 'heartbeat' | 'key' | 'store';

/** What the caller brought, parsed. */
export interface GateRequest {
  readonly kind: CallKind;
  /** The peer's address as the socket tells it; proxy headers are never looked at. */
  readonly source: string;
  /** SHA-256 of the token's 32 bytes. */
  readonly tokenHash: Uint8Array;
  /** `null` when no code was sent. */
  readonly totp: string | null;
  readonly now: number;
}

/** What the server knows at that moment, read in the transaction that acts on the verdict. */
export interface GateState {
  readonly sealed: boolean;
  readonly killed: boolean;
  /** `null` for a client nobody enrolled; the later gates then judge a stand-in that nobody can satisfy. */
  readonly client: Client | null;
  readonly rate: RateView;
  readonly totp: {
    /** `null` when the client has no TOTP secret. */
    readonly codes: readonly TotpCode[] | null;
    /** The last step accepted by the basic profile. */
    readonly lastStep: number;
  };
  readonly chain: {
    readonly standing: Standing;
    readonly fresh: Freshness;
    /** release: the session of this call issued this link. */
    readonly sessionHolds: boolean;
    /** heartbeat: the proof is right for the link it names. */
    readonly proven: boolean;
  };
}

/** The codes a gate refuses with; `refusal.ts` gives each its status and words. */
export type RefusalCode =
  | 'sealed'
  | 'killed'
  | 'source_refused'
  | 'rate_limited'
  | 'unauthorized'
  | 'basic_disabled'
  | 'stale_message'
  | 'locked'
  | 'approval_pending'
  | 'degraded';

export interface Verdict {
  readonly verdict: 'pass' | 'deny' | 'hold';
  readonly code?: RefusalCode;
  /** For the audit log, and for `locked` also for the caller. */
  readonly reason?: string;
  /** Seconds. */
  readonly retryAfter?: number;
}

/** One check. It is pure, knows no other gate, and is asked in the order of the list in `judgement.ts`. */
export interface Gate {
  readonly name: string;
  /**
   * True when a refusal must take as long as any other: the gates after it are then asked as well, and what they say
   * is thrown away.
   */
  readonly uniform: boolean;
  readonly judge: (request: GateRequest, state: GateState) => Verdict;
}

export const pass: Verdict = { verdict: 'pass' };

export function deny(code: RefusalCode, reason?: string): Verdict {
  return reason === undefined ? { verdict: 'deny', code } : { verdict: 'deny', code, reason };
}

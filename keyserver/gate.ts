import type { RateView } from '../platform/rate.ts';
import type { TotpCode } from '../platform/totp.ts';
import type { ShownCertificate } from './certificates/shown.ts';
import type { Freshness, Standing } from './chain.ts';
import type { Client } from './clients/client.ts';
import type { Answer } from './policy/policy.ts';
import type { Gap } from './presence/absence.ts';
import type { Pulse } from './pulse.ts';

/** Which call is being judged: `key` is the basic profile's GET, `store` the PUT of a key, `certificate` a renewal. */
export type CallKind = 'open' | 'release' | 'heartbeat' | 'key' | 'store' | 'certificate';

/** What the caller brought, parsed. */
export interface GateRequest {
  readonly kind: CallKind;
  /** The peer's address as the socket tells it; proxy headers are never looked at. */
  readonly source: string;
  /** SHA-256 of the token's 32 bytes. */
  readonly tokenHash: Uint8Array;
  /** `null` when no code was sent. */
  readonly totp: string | null;
  /** What the connection showed; that its sender holds the key to it is all that is known of it. */
  readonly certificate: ShownCertificate | null;
  /** What it says of its machine; `null` for the calls that ask for no key. */
  readonly machine: ShownMachine | null;
  readonly now: number;
}

/** A machine as a call that asks for a key describes it. All of it is said by the caller and may be made up. */
export interface ShownMachine {
  readonly fingerprint: string | null;
  readonly bootId: string | null;
  /** `basic` for the basic profile. */
  readonly reason: string;
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
  /** The call shows secrets of before the last change: no more than a fork may come of it. */
  readonly former?: boolean;
  /** What is on file under the serial of the certificate shown; `null` when none was or nothing is. */
  readonly certificate: CertificateOnFile | null;
  readonly chain: {
    readonly standing: Standing;
    readonly fresh: Freshness;
    /** The message's time is further from the server's than a TOTP code of it can reach. */
    readonly apart: boolean;
    /** release: the session of this call issued this link. */
    readonly sessionHolds: boolean;
    /** heartbeat: the proof is right for the link it names. */
    readonly proven: boolean;
  };
  /** What was seen of the client before. */
  readonly pulse: Pulse;
  /** When the key server itself was away. */
  readonly ownGaps: readonly Gap[];
  /** The gates that a person lets this call pass. */
  readonly approved: readonly string[];
}

/** A certificate as it was issued. */
export interface CertificateOnFile {
  readonly client: string | null;
  readonly purpose: 'ca' | 'server' | 'client' | 'admin';
  /** SHA-256 of the DER form. */
  readonly digest: Uint8Array;
  readonly revokedAt: number | null;
  /** When a call that passed every gate first showed it. */
  readonly usedAt: number | null;
}

/** The codes a gate refuses with; `refusal.ts` gives each its status and words. */
export type RefusalCode =
  | 'sealed'
  | 'killed'
  | 'source_refused'
  | 'rate_limited'
  | 'unauthorized'
  | 'certificate_expired'
  | 'basic_disabled'
  | 'stale_message'
  | 'locked'
  | 'fingerprint_refused'
  | 'outside_hours'
  | 'approval_pending'
  | 'approval_denied'
  | 'degraded';

export interface Verdict {
  /** `alert` passes and has the owner told; `hold` asks a person. */
  readonly verdict: 'pass' | 'alert' | 'deny' | 'hold';
  readonly code?: RefusalCode;
  /** A few fixed words, for the audit log and the owner; for `locked` and `approval_denied` also for the caller. */
  readonly reason?: string;
  /** Which approval is waited for, or was denied. */
  readonly approval?: string;
  /** Seconds. */
  readonly retryAfter?: number;
}

/** What a gate of a client's policy does about what it found; see policy.ts. */
export function answered(answer: Answer, reason: string, denial: RefusalCode = 'approval_denied'): Verdict {
  if (answer === 'off') return pass;
  if (answer === 'deny') return deny(denial, reason);
  return answer === 'alert' ? { verdict: 'alert', reason } : { verdict: 'hold', code: 'approval_pending', reason };
}

/** One check. It is pure, knows no other gate, and is asked in the order of the list in `judgement.ts`. */
export interface Gate {
  readonly name: string;
  /**
   * True when a refusal must take as long as any other: the gates after it are then asked as well, and what they say
   * is thrown away. A gate behind those is asked of callers only who proved who they are.
   */
  readonly uniform: boolean;
  readonly judge: (request: GateRequest, state: GateState) => Verdict;
}

export const pass: Verdict = { verdict: 'pass' };

export function deny(code: RefusalCode, reason?: string): Verdict {
  return reason === undefined ? { verdict: 'deny', code } : { verdict: 'deny', code, reason };
}

import type { Kysely } from 'kysely';
import type { Caller } from './calls/caller.ts';
import type { CaseFile } from './case-file.ts';
import type { ForkingMessage } from './fork.ts';
import type { CallKind, ShownMachine, Verdict } from './gate.ts';
import type { Finding, Judgement } from './judgement.ts';
import type { Link } from './link.ts';
import type { LinkOnFile } from './link-store.ts';
import type { Database } from './schema.ts';

/** What a call adds to the state the gates see. */
export interface ChainFacts {
  readonly link: LinkOnFile;
  /** release: the session of this call issued this link. */
  readonly sessionHolds: boolean;
  /** heartbeat: the proof is right for the link it names. */
  readonly proven: boolean;
}

/** What is known once all gates passed. */
export interface Heard {
  readonly file: CaseFile;
  readonly link: LinkOnFile;
  readonly verdicts: Judgement['verdicts'];
  /** The approval by which it passed; `null` when none was needed. */
  readonly approval: string | null;
}

/** One call, before it is judged. */
export interface Hearing<T> {
  readonly kind: CallKind;
  readonly caller: Caller;
  /** The message's time; `null` for the calls that have none. */
  readonly time: number | null;
  /** The link it brought; `null` for the calls that bring none. */
  readonly shown: Link | null;
  /** What it says of its machine, if it asks for a key. */
  readonly machine?: ShownMachine;
  /** What the fork record tells of this message. */
  readonly fork?: Omit<ForkingMessage, 'call' | 'source' | 'time'>;
  /** Where the case file alone does not tell: the link that came with the call is in there. */
  readonly facts?: (tx: Kysely<Database>, file: CaseFile) => Partial<ChainFacts> | Promise<Partial<ChainFacts>>;
  /** Asked when token and TOTP were right, whatever the gates behind them say. */
  readonly known?: (tx: Kysely<Database>, file: CaseFile) => Promise<void>;
  /** Does what was asked for; all gates passed. It may run twice, in another transaction. */
  readonly act: (tx: Kysely<Database>, heard: Heard) => Promise<T>;
}

export type Refusal = Verdict & { readonly gate: string };

export type Outcome<T> =
  | { readonly refusal: null; readonly value: T; readonly file: CaseFile; readonly alerts: readonly Finding[] }
  | { readonly refusal: Refusal; readonly file: CaseFile };

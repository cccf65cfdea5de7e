import type { RandomBytes } from '../../platform/clock.ts';
import type { LocalApp } from '../app-files.ts';
import type { Facts } from '../facts.ts';
import type { JournalDeps } from '../journal/transaction.ts';
import type { Progress } from '../progress.ts';
import type { Transport } from '../transports/transport.ts';
import type { Workplace } from '../workplace.ts';
import type { Agreement } from './agreement.ts';
import type { ClientMemory } from './client-memory.ts';
import type { HomeMachine } from './home-machine.ts';
import type { SetupConfig } from './setup-config.ts';

/** The steps, in order. A step may rely on what those before it have done. */
export const stepNames = [
  'wireguard',
  'ssh-tunnel',
  'key-server',
  'hook',
  'enrol',
  'escrow',
  'watch',
  'doctor',
] as const;
export type StepName = (typeof stepNames)[number];

/** What all steps have in hand. */
export interface SetupContext {
  readonly config: SetupConfig;
  /** Addresses, ports and names that were settled before the first step, and stay. */
  readonly agreed: Agreement;
  /** The machine at home; acts as root there. */
  readonly home: HomeMachine;
  /** The machine that Nextcloud runs on (where it is in a container, that of the container's engine); acts as root. */
  readonly server: Transport;
  /** Its Nextcloud. */
  readonly nextcloud: Workplace;
  /** Who it is, whatever it says of itself. */
  readonly memory: ClientMemory;
  /** Looks anew each time. */
  readonly facts: () => Promise<Facts>;
  readonly journal: JournalDeps;
  readonly progress: Progress;
  /** The app as this ncpatch brings it along. */
  readonly app: LocalApp;
  readonly now: () => number;
  readonly random: RandomBytes;
  /** Where the owner's encrypted copy of the keys goes, on the machine that runs this. */
  readonly copyPath: string;
  /** The passphrase of that copy: out of the file that was named, or asked for, a new one twice. */
  readonly copyPassphrase: (kind: 'new' | 'known') => Promise<string>;
  /** For a teardown: the owner's copy that keys come back from, instead of the key server. */
  readonly fromCopy: string | null;
}

/** Whether a step has anything to do. */
export type StepLook =
  | { readonly state: 'done'; readonly words: string }
  | { readonly state: 'missing' }
  /** It cannot be done here, and why; nothing after it that needs it can. */
  | { readonly state: 'impossible'; readonly code: string; readonly words: string; readonly hint: string };

/**
 * One part of the whole, which is shown, may be declined, is undone when it fails, and is gone on with by the next run. What
 * `carryOut` began and did not end must be told from what was there before by looking at the machines, not by memory: whoever ran
 * it may have lost its power.
 */
export interface SetupStep {
  readonly name: StepName;
  /** `connect the two machines by WireGuard`. */
  readonly title: string;
  /** Steps without which this one makes no sense. */
  readonly needs: readonly StepName[];
  /** Changes nothing. */
  look(): Promise<StepLook>;
  /** What would be done, a line each, in words of the reader: files, programs, accounts, on which machine. Changes nothing. */
  plan(): Promise<readonly string[]>;
  /** Does it; what came of it, a line each. Running it again where a run was cut off ends well. */
  carryOut(): Promise<readonly string[]>;
  /** After `carryOut` has failed: what it began is taken back, as far as it was not there before. What it could not, a line each. */
  undo(): Promise<readonly string[]>;
  /** For `teardown`: what would be taken away, a line each; none when there is nothing. */
  planRemoval(): Promise<readonly string[]>;
  /** Takes away what this step makes, whoever made it; twice is as once. What stays and why, a line each. */
  takeAway(options: { readonly purge: boolean }): Promise<readonly string[]>;
}

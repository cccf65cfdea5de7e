import { LatchkeyError } from '../../platform/errors.ts';
import { serverWords } from './pair.ts';
import type { SetupConfig, TransportChoice } from './setup-config.ts';
import type { SetupRecord } from './setup-record.ts';
import { transportOf } from './transport-of.ts';

/**
 * Pure: what the two machines are to speak over, which a setup settles once. Who says nothing means what there is. Throws
 * `transport_settled` (exit 3) for another one than an earlier run has laid, or may have: that is changed, not set up.
 */
export function settledTransport(wanted: SetupConfig, isSaid: boolean, earlier: SetupRecord | null): SetupConfig {
  if (earlier === null) return wanted;
  const present = transportOf(earlier.agreed);
  if (wanted.transport === present) return wanted;
  if (!isSaid) return { ...wanted, transport: present };
  if (isAway(earlier, 'wireguard') && isAway(earlier, 'ssh-tunnel')) return wanted;
  throw settled(present, wanted, earlier.steps.enrol?.state === 'done');
}

/** It was never begun, or was taken back where it failed. */
function isAway({ steps }: SetupRecord, name: 'wireguard' | 'ssh-tunnel'): boolean {
  const state = steps[name]?.state;
  return state === undefined || state === 'declined' || state === 'undone';
}

function settled(present: TransportChoice, wanted: SetupConfig, isFinished: boolean): LatchkeyError {
  const { transport } = wanted;
  const server = serverWords(wanted);
  const words = isFinished ? `is set up with ${NAMES[present]}` : `was begun with ${NAMES[present]}`;
  return new LatchkeyError(
    'transport_settled',
    `this server ${words} already, not with ${NAMES[transport]}: nothing was done`,
    {
      exit: 3,
      field: 'transport',
      hint: isFinished
        ? `to change it: ncpatch tunnel use ${transport} ${server}`
        : `finish it as it was begun, without --transport, and change it then: ncpatch tunnel use ${transport} ${server}; or take it back first: ncpatch teardown ${server}`,
    },
  );
}

const NAMES: Readonly<Record<TransportChoice, string>> = {
  wireguard: 'WireGuard',
  ssh: 'an SSH tunnel',
  both: 'WireGuard and an SSH tunnel',
};

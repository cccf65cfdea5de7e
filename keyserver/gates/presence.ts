import { answered, type Gate, pass } from '../gate.ts';
import { absenceNow, isSettling, joined } from '../presence/absence.ts';

/**
 * The machine must have been heard all the time: one that was off, cut off or elsewhere may have been copied. An absence
 * counts until a person or the policy clears it, whatever heartbeats came since.
 */
export const presence: Gate = {
  name: 'presence',
  uniform: false,
  judge: ({ kind, machine, now }, { client, pulse, ownGaps }) => {
    if (machine === null || client === null) return pass;
    const { gates } = client;
    const absence = joined(pulse.absence, absenceNow(pulse, machine.bootId, ownGaps, gates.absence, now));
    if (absence?.kind === 'away') return answered(gates.presence, 'away');
    if (absence?.kind === 'own') return answered(gates.ownGap, 'away with the key server');
    // whoever asks by the basic profile sends no heartbeats
    if (kind === 'key' || pulse.presentAt !== null || isSettling(pulse.settledAt, now)) return pass;
    return answered(gates.unheard, 'no heartbeat ever');
  },
};

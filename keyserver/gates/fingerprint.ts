import { answered, type Gate, pass } from '../gate.ts';
import { likenessOf } from '../policy/known-machine.ts';

/** The machine must look like the one that was enrolled. A soft sign: a copy may show whatever the original showed. */
export const fingerprint: Gate = {
  name: 'fingerprint',
  uniform: false,
  judge: ({ kind, machine, now }, { client, pulse }) => {
    if (kind !== 'open' || machine === null || client === null) return pass;
    const likeness = likenessOf(machine.fingerprint, machine.reason, pulse.fingerprints, pulse.settledAt, now);
    if (likeness === 'known' || likeness === 'first') return pass;
    const reason = likeness === 'missing' ? 'no fingerprint any more' : 'another fingerprint';
    return answered(client.gates.fingerprint, reason, 'fingerprint_refused');
  },
};

import { answered, type Gate, pass } from '../gate.ts';

/**
 * Where the policy wants a person's yes for each start of the machine: held unless the boot id is that of the last release.
 * The first release after enrolment needs none, its code was a person's yes. A call without a boot id shows no boot
 * that was said yes to.
 */
export const approval: Gate = {
  name: 'approval',
  uniform: false,
  judge: ({ machine }, { client, pulse }) => {
    if (machine === null || client === null || client.gates.approval === 'held') return pass;
    if (machine.bootId === null) return answered('hold', 'no boot id');
    if (pulse.releasedBootId === null || machine.bootId === pulse.releasedBootId) return pass;
    return answered('hold', 'a new boot');
  },
};

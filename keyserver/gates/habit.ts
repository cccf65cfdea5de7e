import { answered, type Gate, pass } from '../gate.ts';
import { habitsFrom, isCounted, judgeFetch } from '../policy/habits.ts';

/** The fetch must be one this client is used to make. */
export const habit: Gate = {
  name: 'habit',
  uniform: false,
  judge: ({ kind, machine, now }, { client, pulse }) => {
    if (kind !== 'open' || machine === null || client === null || !isCounted(machine.reason)) return pass;
    const { reason, bootId } = machine;
    const history = { habits: habitsFrom(pulse.habits), bootId: pulse.releasedBootId, ttl: client.policy.ttl * 1000 };
    const found = judgeFetch({ reason, bootId, now }, history);
    if (found === 'usual') return pass;
    const words = found === 'cold' ? 'cold fetches that nothing explains' : 'far more fetches than usual';
    return answered(client.gates.habit, words);
  },
};

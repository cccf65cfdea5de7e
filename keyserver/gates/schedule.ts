import { answered, type Gate, pass } from '../gate.ts';
import { isWithinSchedule } from '../policy/schedule.ts';

/** Keys are fetched within the hours the owner allows, if any were named. */
export const schedule: Gate = {
  name: 'schedule',
  uniform: false,
  judge: ({ machine, now }, { client }) => {
    if (machine === null || client === null) return pass;
    const { schedule: hours, outside } = client.gates;
    if (hours === null || isWithinSchedule(hours, now)) return pass;
    return answered(outside, 'outside the allowed hours', 'outside_hours');
  },
};

import type { ShownMachine } from '../gate.ts';
import type { Judgement } from '../judgement.ts';
import { settlingTime } from '../presence/absence.ts';
import type { Pulse } from '../pulse.ts';
import { habitsFrom, habitsText, learned } from './habits.ts';
import { enrolledWith } from './known-machine.ts';

/** What is known of a client's machine once keys were released to it: this machine, these habits, this boot. */
export function afterRelease(
  pulse: Pulse,
  { reason, bootId, fingerprint }: ShownMachine,
  said: Judgement['verdicts'],
  ttl: number,
  now: number,
): Partial<Pulse> {
  const history = { habits: habitsFrom(pulse.habits), bootId: pulse.releasedBootId, ttl };
  return {
    ...afterAnyRelease(pulse, said, now),
    releasedBootId: bootId ?? 'none',
    fingerprints: enrolledWith(fingerprint, reason, pulse.fingerprints),
    habits: habitsText(learned({ reason, bootId, now }, history, said.habit === 'approved')),
  };
}

/** The same for the basic profile, which says nothing of its machine. A person's yes clears an absence and counts as a heartbeat. */
export function afterAnyRelease(pulse: Pulse, said: Judgement['verdicts'], now: number): Partial<Pulse> {
  const settledAt = pulse.settledAt ?? now + settlingTime;
  return said.presence === 'approved' ? { settledAt, absence: null, presentAt: now } : { settledAt };
}

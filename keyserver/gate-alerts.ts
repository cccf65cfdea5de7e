import type { Kysely } from 'kysely';
import { raiseAlert } from './alerts/raise.ts';
import type { Client } from './clients/client.ts';
import type { ShownMachine } from './gate.ts';
import type { Finding } from './judgement.ts';
import { surroundingsOf } from './policy/known-machine.ts';
import { absenceNow, type Gap, joined } from './presence/absence.ts';
import type { Pulse } from './pulse.ts';
import type { Database } from './schema.ts';

/** A call at which gates found something the owner shall hear of. */
export interface AlertedCall {
  readonly client: Client;
  readonly pulse: Pulse;
  readonly machine: ShownMachine;
  readonly source: string;
  readonly ownGaps: readonly Gap[];
  readonly now: number;
}

type Outcome = 'alerted' | 'denied';

/** Tells the owner what a gate found, in the transaction of the call. */
export async function tellOwner(
  tx: Kysely<Database>,
  { gate, reason }: Finding,
  outcome: Outcome,
  call: AlertedCall,
): Promise<void> {
  const { pulse, machine, source, now } = call;
  const client = { id: call.client.id, name: call.client.name };
  if (gate === 'fingerprint') {
    const was = pulse.fingerprints[surroundingsOf(machine.reason)] ?? pulse.fingerprint;
    await raiseAlert(tx, { event: 'fingerprint_changed', client, source, was, is: machine.fingerprint, outcome }, now);
  } else if (gate === 'presence') {
    const limit = call.client.gates.absence;
    const absence = joined(pulse.absence, absenceNow(pulse, machine.bootId, call.ownGaps, limit, now));
    const fault = absence?.kind === 'own' ? 'server' : 'client';
    const [from, to] = [absence?.since ?? null, absence?.until ?? now];
    await raiseAlert(tx, { event: 'presence_gap', client, source, from, to, fault, outcome }, now);
  } else {
    await raiseAlert(tx, { event: 'habit', client, source, reason, outcome }, now);
  }
}

import type { Kysely } from 'kysely';
import { appendAudit } from '../platform/audit-chain.ts';
import { raiseAlert } from './alerts/raise.ts';
import type { CaseFile } from './case-file.ts';
import type { Database } from './schema.ts';

/** What is known of the message that showed the fork. */
export interface ForkingMessage {
  readonly call: 'open' | 'release' | 'heartbeat';
  readonly source: string;
  readonly time: number;
  readonly linkId: string;
  readonly bootId: string | null;
  readonly fingerprint: string | null;
}

/**
 * A spent link came back, so two machines hold this client's state. Locks the client unless its policy says only to tell,
 * and records both sides: this message, and what was last accepted from the other one.
 */
export async function recordFork(
  tx: Kysely<Database>,
  file: CaseFile,
  message: ForkingMessage,
  now: number,
): Promise<void> {
  const client = file.client;
  if (client === null) return;
  const locks = client.forkPolicy !== 'alert' && client.state === 'enrolled';
  if (locks) await tx.updateTable('client').set({ state: 'locked' }).where('id', '=', client.id).execute();
  const before = {
    source: file.pulse.source,
    time: file.pulse.lastTime,
    bootId: file.pulse.bootId,
    fingerprint: file.pulse.fingerprint,
    releasedAt: file.pulse.releasedAt,
  };
  const { call, source, time, bootId, fingerprint } = message;
  const side = { source, time, bootId, fingerprint };
  await raiseAlert(
    tx,
    { event: 'fork', client, call, policy: client.forkPolicy, locked: locks, now: side, before },
    now,
  );
  await appendAudit(tx, {
    time: now,
    event: 'fork_detected',
    client: client.id,
    source: message.source,
    link: message.linkId,
    detail: {
      call: message.call,
      policy: client.forkPolicy,
      locked: locks,
      now: { time: message.time, bootId: message.bootId, fingerprint: message.fingerprint },
      before,
    },
  });
}

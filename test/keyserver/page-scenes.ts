import { heardSlot } from '../../keyserver/admin/heard.ts';
import { raiseAlert } from '../../keyserver/alerts/raise.ts';
import { appendAudit } from '../../platform/audit-chain.ts';
import type { RunningServer } from './running-server.ts';

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

export const bootBefore = '6f1b7a52-0000-4000-8000-0123456789ab';
export const bootNow = '0c2e9d11-0000-4000-8000-ba9876543210';
export const fingerprintBefore = 'a1'.repeat(32);
export const fingerprintNow = 'b2'.repeat(32);

/** The id of the client that `makeServer` made at that place. */
export function clientAt(server: RunningServer, index: number): { id: string; name: string } {
  return { id: server.made.clients[index]?.clientId ?? '', name: `client-${index}` };
}

/** Ten quiet days: a release each hour, heartbeats all the time, the key server itself away for a while. */
export async function quietDays(server: RunningServer, index: number): Promise<void> {
  const client = clientAt(server, index).id;
  const now = server.now();
  await server.beside(async (tx) => {
    for (let at = now - 10 * day; at < now; at += hour) {
      const record = { time: at, event: 'key_released', client, source: '127.0.0.1', reason: 'expired' };
      await appendAudit(tx, { ...record, keys: ['master_0123abcd.privateKey'] });
    }
    await tx
      .updateTable('pulse')
      .set({ heard_at: now - 20_000, released_at: now - 12 * minute, source: '127.0.0.1', boot_id: bootBefore })
      .where('client_id', '=', client)
      .execute();
    await tx
      .insertInto('own_gap')
      .values({ since: now - 5 * hour, until: now - 4 * hour })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    await heardBut(tx, client, now, (at) => at > now - 5 * hour && at < now - 4 * hour);
  });
}

/** Writes that a client was heard in the last ten days but for when `isSilent`. */
async function heardBut(
  tx: Parameters<Parameters<RunningServer['beside']>[0]>[0],
  client: string,
  now: number,
  isSilent: (at: number) => boolean,
): Promise<void> {
  for (let onDay = Math.floor(now / day) - 10; onDay <= Math.floor(now / day); onDay++) {
    let bits = '';
    for (let at = onDay * day; at < (onDay + 1) * day; at += heardSlot) bits += at < now && !isSilent(at) ? '1' : '0';
    const slots = (bits.match(/.{4}/g) ?? []).map((four) => Number.parseInt(four, 2).toString(16)).join('');
    await tx.insertInto('heard_day').values({ client_id: client, day: onDay, slots }).execute();
  }
}

/** A day on which things went wrong: silence, guesses, a held request, a fork that locked the client. */
export async function badDay(server: RunningServer, index: number, words: string): Promise<void> {
  const { id, name } = clientAt(server, index);
  const client = { id, name };
  const now = server.now();
  await server.beside(async (tx) => {
    const denial = { event: 'request_denied', client: id, source: '127.0.0.66', reason: 'token' };
    for (let at = now - 20 * hour; at < now - 9 * hour; at += 3 * hour) {
      await appendAudit(tx, { time: at, event: 'key_released', client: id, source: '127.0.0.1', reason: 'expired' });
    }
    await appendAudit(tx, {
      time: now - 3 * hour,
      ...denial,
      detail: { code: 'unauthorized', call: 'open', gate: 'token' },
    });
    const counted = {
      of: 'request_denied',
      code: 'unauthorized',
      count: 40,
      since: now - 3 * hour,
      until: now - 3 * hour,
    };
    await appendAudit(tx, { ...denial, time: now - 3 * hour + 1, event: 'denials_counted', detail: counted });
    await appendAudit(tx, { time: now - 2 * hour, event: 'fork_detected', client: id, source: '127.0.0.66' });
    await tx.updateTable('client').set({ state: 'locked' }).where('id', '=', id).execute();
    await tx
      .updateTable('pulse')
      .set({ heard_at: now - 2 * hour, released_at: now - 11 * hour, source: '127.0.0.66', boot_id: bootNow })
      .where('client_id', '=', id)
      .execute();
    await heardBut(tx, id, now, (at) => (at > now - 9 * hour && at < now - 6 * hour) || at > now - 2 * hour);
    const side = { source: '127.0.0.66', time: now - 2 * hour, bootId: bootNow, fingerprint: fingerprintNow };
    const before = { ...side, source: '127.0.0.1', releasedAt: now - 11 * hour };
    await raiseAlert(
      tx,
      { event: 'fork', client, call: 'open', policy: 'lock+purge', locked: true, now: side, before },
      now,
    );
    await raiseAlert(tx, { event: 'killed', client: null, by: 'command', reason: words }, now);
  });
}

/** A request that gates hold; answers the approval's id. */
export async function heldRequest(
  server: RunningServer,
  index: number,
  more: { readonly reason?: string; readonly source?: string; readonly age?: number; readonly id?: string } = {},
): Promise<string> {
  const client = clientAt(server, index).id;
  const now = server.now() - (more.age ?? 0);
  const id = more.id ?? `ap-${Math.floor(now).toString(16).padStart(16, '0')}`;
  const source = more.source ?? '10.8.0.66';
  const facts = {
    call: 'open',
    reason: more.reason ?? 'cold',
    now: { time: now, source, bootId: bootNow, fingerprint: fingerprintNow },
    before: {
      source: '10.8.0.2',
      bootId: bootBefore,
      fingerprint: fingerprintBefore,
      heardAt: now - 47 * minute,
      presentAt: now - 47 * minute,
      releasedAt: now - 3 * hour,
    },
    absence: { kind: 'away', since: now - 47 * minute, until: now },
  };
  const gates = [
    { gate: 'fingerprint', reason: 'differs' },
    { gate: 'presence', reason: 'away' },
  ];
  await server.beside(async (tx) => {
    await tx
      .insertInto('approval')
      .values({
        id,
        client_id: client,
        state: 'pending',
        gates: JSON.stringify(gates),
        source,
        boot_id: bootNow,
        fingerprint: fingerprintNow,
        facts: JSON.stringify(facts),
        created_at: now,
        expires_at: now + 15 * minute,
      })
      .execute();
    await appendAudit(tx, { time: now, event: 'approval_asked', client, source });
  });
  return id;
}

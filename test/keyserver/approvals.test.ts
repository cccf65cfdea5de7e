import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Approval, decideApproval, findApproval, listApprovals } from '../../keyserver/approvals/approvals.ts';
import { changePolicy, findClient, resetClient } from '../../keyserver/clients/client-admin.ts';
import type { OverrideChange } from '../../keyserver/policy/policy.ts';
import { systemRandom } from '../../platform/clock.ts';
import { type Answer, type Credentials, call, HonestClient } from './honest-client.ts';
import { masterKeyId } from './made-server.ts';
import { RunningServer } from './running-server.ts';

const minute = 60_000;
const hour = 60 * minute;
const boot = '6f1b7a52-0000-4000-8000-000000000001';
const otherBoot = '6f1b7a52-0000-4000-8000-000000000002';
const print = 'a'.repeat(64);
const otherPrint = 'b'.repeat(64);
const means = { means: 'command', who: null } as const;

let server: RunningServer;
let client: HonestClient;
let taken = 0;

beforeAll(async () => {
  server = await RunningServer.start({ clients: 40, basic: true });
});

afterAll(() => server.remove());

/** Each test has a client of its own. */
beforeEach(() => {
  client = server.client(taken++);
});

/** For tests that move the clock: what the server then sleeps through belongs to it alone. */
async function ownServer(work: () => Promise<void>): Promise<void> {
  const shared = [server, client] as const;
  server = await RunningServer.start({ clients: 1, basic: true });
  client = server.client();
  try {
    await work();
  } finally {
    await server.remove();
    [server, client] = shared;
  }
}

interface Shown {
  readonly bootId?: string | null;
  readonly fingerprint?: string | null;
  readonly reason?: string;
}

function open(shown: Shown = {}): Promise<Answer> {
  const body = { ...client.openBody(), bootId: boot, fingerprint: print, reason: 'expired', ...shown };
  return call(server, 'POST', '/v1/open', client.openHeaders(), body);
}

async function release(opened: Answer): Promise<Answer> {
  client.opened(String(opened.body.next));
  const body = client.releaseBody(String(opened.body.session), [masterKeyId]);
  const answer = await call(server, 'POST', '/v1/release', client.headers(), body);
  if (answer.status === 200) client.released();
  return answer;
}

/** A whole exchange: what came of it, in short. */
async function fetched(shown: Shown = {}): Promise<string> {
  const opened = await open(shown);
  if (opened.status !== 200) return `${opened.status} ${String(opened.body.code)} ${opened.body.reason ?? ''}`.trim();
  return String((await release(opened)).status);
}

async function beat(bootId = boot): Promise<unknown> {
  return (await call(server, 'POST', '/v1/heartbeat', client.headers(), client.heartbeatBody(bootId))).body.state;
}

function policy(gates: OverrideChange): Promise<void> {
  return server.beside(async (tx) =>
    changePolicy(tx, await findClient(tx, client.credentials.clientId), { gates }, server.now()),
  );
}

/** The client was enrolled long ago, has been released to and heard, and was last heard `silent` ms ago. */
async function wellKnown(silent = 0): Promise<void> {
  expect(await fetched({ reason: 'cold' })).toBe('200');
  expect(await beat()).toBe('ok');
  await server.beside((tx) =>
    tx.updateTable('pulse').set({ settled_at: 0 }).where('client_id', '=', client.credentials.clientId).execute(),
  );
  await silentFor(silent);
}

/** The last heartbeat came that much earlier. */
async function silentFor(silent: number): Promise<void> {
  await server.beside((tx) =>
    tx
      .updateTable('pulse')
      .set((eb) => ({ present_at: eb('present_at', '-', silent) }))
      .where('client_id', '=', client.credentials.clientId)
      .execute(),
  );
}

const decide = (id: unknown, decision: 'approve' | 'deny') =>
  server.beside((tx) => decideApproval(tx, String(id), decision, means, server.now()));

const stateOf = async (id: unknown) => (await server.beside((tx) => findApproval(tx, String(id), server.now()))).state;

/** What its owner was told of this client. */
async function alerts(): Promise<Record<string, unknown>[]> {
  const rows = await server.beside((tx) => tx.selectFrom('outbox_message').select('body').orderBy('seq').execute());
  return rows
    .map(({ body }) => JSON.parse(body) as Record<string, unknown>)
    .filter((alert) => (alert.client as { id: string } | null)?.id === client.credentials.clientId);
}

/** The audit records about this client. */
async function audit(): Promise<Record<string, unknown>[]> {
  return (await server.audit()).filter((record) => record.client === client.credentials.clientId);
}

/** The approvals of this client that wait, or all. */
async function asked(all = false): Promise<Approval[]> {
  const approvals = await server.beside((tx) => listApprovals(tx, server.now(), all));
  return approvals.filter((approval) => approval.client.id === client.credentials.clientId);
}

/** The links and where they stand. */
function chain(): Promise<string> {
  return server.beside(async (tx) => {
    const id = client.credentials.clientId;
    const pulse = await tx
      .selectFrom('pulse')
      .select(['issued', 'confirmed', 'spent_to'])
      .where('client_id', '=', id)
      .execute();
    return JSON.stringify([pulse, await tx.selectFrom('link').selectAll().where('client_id', '=', id).execute()]);
  });
}

describe('a machine that was away', () => {
  test('is held, whatever heartbeats come afterwards, and nothing moves', async () => {
    await wellKnown(20 * minute);
    const before = await chain();
    const held = await open();
    expect([held.status, held.headers['content-type'], held.headers['retry-after']]).toEqual([
      202,
      'application/json',
      '30',
    ]);
    expect(held.body).toEqual({
      code: 'approval_pending',
      approval: expect.stringMatching(/^ap-[0-9a-f]{16}$/),
      retryAfter: 30,
    });
    expect(await beat()).toBe('ok');
    for (let n = 0; n < 3; n++) expect((await open()).body.approval).toBe(held.body.approval);
    expect(await chain()).toBe(before);
    expect(await asked()).toHaveLength(1);
    const told = (await alerts()).filter(({ event }) => event === 'hold');
    const page = `https://127.0.0.1:${server.port}/admin/approvals/${held.body.approval}`;
    expect(told).toEqual([
      expect.objectContaining({ approval: held.body.approval, gate: 'presence', reason: 'away', page }),
    ]);
    const events = (await audit()).map(({ event }) => event);
    expect(events.filter((event) => event === 'approval_asked')).toHaveLength(1);
    expect(events).not.toContain('request_denied');
  });

  test('is released to once after a yes, and its absence is forgotten then', async () => {
    await wellKnown(20 * minute);
    const { approval } = (await open()).body;
    await beat();
    await decide(approval, 'approve');
    expect(await fetched()).toBe('200');
    expect(await stateOf(approval)).toBe('used');
    const record = (await audit()).findLast(({ event }) => event === 'key_released');
    expect(record).toMatchObject({ verdicts: { presence: 'approved', chain: 'pass' }, detail: { approval } });
    expect(await fetched()).toBe('200');
    expect(await stateOf(approval)).toBe('used');
    await silentFor(20 * minute);
    expect((await open()).status).toBe(202);
  });

  test('shows the person what differs from last time', async () => {
    await wellKnown(20 * minute);
    const { approval } = (await open({ bootId: otherBoot })).body;
    const { facts, gates } = await server.beside((tx) => findApproval(tx, String(approval), server.now()));
    expect(gates).toEqual([{ gate: 'presence', reason: 'away' }]);
    expect(facts).toMatchObject({
      call: 'open',
      reason: 'expired',
      now: { source: '127.0.0.1', bootId: otherBoot, fingerprint: print },
      before: { source: '127.0.0.1', bootId: boot, fingerprint: print },
      absence: { kind: 'away' },
    });
  });

  test('keeps a yes for itself: another boot, machine or address needs its own', async () => {
    await wellKnown(20 * minute);
    const { approval } = (await open()).body;
    await decide(approval, 'approve');
    for (const shown of [{ bootId: otherBoot }, { fingerprint: otherPrint }, { bootId: null }]) {
      const other = await open(shown);
      expect(other.status).toBe(202);
      expect(other.body.approval).not.toBe(approval);
    }
    expect(await fetched()).toBe('200');
  });

  test('is held at GET /key as well', async () => {
    await wellKnown(20 * minute);
    const get = () => call(server, 'GET', '/key', client.openHeaders());
    const held = await get();
    expect([held.status, held.body.code]).toEqual([202, 'approval_pending']);
    await decide(held.body.approval, 'approve');
    expect((await get()).body.key).toEqual(expect.any(String));
    expect(await stateOf(held.body.approval)).toBe('used');
  });

  test('is forgotten where the owner does not mind any more', async () => {
    await wellKnown(20 * minute);
    await beat();
    expect((await open()).status).toBe(202);
    await policy({ presence: 'off' });
    expect(await fetched()).toBe('200');
    await policy({ presence: null });
    expect(await fetched()).toBe('200');
  });

  test('is of no interest where presence is off: its heartbeats tell nobody', async () => {
    await policy({ presence: 'off' });
    await wellKnown(20 * minute);
    await beat();
    expect((await alerts()).filter(({ event }) => event === 'presence_gap')).toEqual([]);
    expect((await audit()).map(({ event }) => event)).not.toContain('absence_noticed');
  });

  test('passes with an alert where the owner wants it so', async () => {
    await policy({ presence: 'alert' });
    await wellKnown(20 * minute);
    expect(await fetched()).toBe('200');
    expect(await fetched()).toBe('200');
    const told = (await alerts()).filter(({ event }) => event === 'presence_gap');
    expect(told).toEqual([expect.objectContaining({ fault: 'client', outcome: 'alerted' })]);
    const records = (await audit()).filter(({ event }) => event === 'key_released');
    const presence = records.map(({ verdicts }) => (verdicts as Record<string, string>).presence);
    expect(presence).toEqual(['pass', 'alert', 'pass']);
  });
});

describe('a yes', () => {
  test('that is taken back between open and release is none', async () => {
    await wellKnown(20 * minute);
    const { approval } = (await open()).body;
    await beat();
    await decide(approval, 'approve');
    const opened = await open();
    await decide(approval, 'deny');
    const late = await release(opened);
    expect([late.status, late.body.code]).toEqual([409, 'stale_message']);
    expect(await fetched()).toBe('403 approval_denied denied');
    expect((await audit()).filter(({ event }) => event === 'key_released')).toHaveLength(1);
  });

  test('lasts 15 minutes', () =>
    ownServer(async () => {
      await wellKnown(20 * minute);
      const { approval } = (await open()).body;
      await decide(approval, 'approve');
      server.skew += 15 * minute;
      const again = await open();
      expect(again.status).toBe(202);
      expect(again.body.approval).not.toBe(approval);
    }));

  test('survives an open whose answer was lost', async () => {
    await wellKnown(20 * minute);
    const { approval } = (await open()).body;
    await decide(approval, 'approve');
    await open(); // its answer never came
    expect(await fetched()).toBe('200');
  });

  test('cannot be given twice, nor a day later', () =>
    ownServer(async () => {
      await wellKnown(20 * minute);
      const { approval } = (await open()).body;
      server.skew += 24 * hour;
      await expect(decide(approval, 'approve')).rejects.toMatchObject({ code: 'approval_settled' });
      server.skew = 0;
      await decide(approval, 'approve');
      expect(await fetched()).toBe('200');
      await expect(decide(approval, 'deny')).rejects.toMatchObject({ code: 'approval_settled' });
      await expect(decide('ap-0000000000000000', 'approve')).rejects.toMatchObject({ code: 'approval_unknown' });
    }));
});

describe('without an answer', () => {
  test('a request lapses as a denial after 15 minutes, and is asked about anew an hour later', () =>
    ownServer(async () => {
      await wellKnown(20 * minute);
      const first = (await open()).body.approval;
      server.skew += 15 * minute - 1000;
      expect((await open()).body.approval).toBe(first);
      server.skew += 1000;
      const lapsed = await open();
      expect([lapsed.status, lapsed.body.code, lapsed.body.reason]).toEqual([403, 'approval_denied', 'lapsed']);
      expect(lapsed.headers['retry-after']).toBe('120');
      expect(await stateOf(first)).toBe('lapsed');
      expect((await alerts()).filter(({ event }) => event === 'approval_lapsed')).toHaveLength(1);
      server.skew += hour;
      const anew = await open();
      expect(anew.status).toBe(202);
      expect(anew.body.approval).not.toBe(first);
      expect((await audit()).map(({ event }) => event)).not.toContain('fork_detected');
    }));

  test('a yes that comes late is a yes', () =>
    ownServer(async () => {
      await wellKnown(20 * minute);
      const { approval } = (await open()).body;
      server.skew += 40 * minute;
      await decide(approval, 'approve');
      expect(await fetched()).toBe('200');
    }));
});

describe('a no', () => {
  test('holds for these facts and a day, and no other', () =>
    ownServer(async () => {
      await wellKnown(20 * minute);
      const { approval } = (await open()).body;
      await decide(approval, 'deny');
      const before = await chain();
      const denied = await open();
      expect(denied.body).toMatchObject({ status: 403, code: 'approval_denied', reason: 'denied', approval });
      expect((await open({ bootId: otherBoot })).status).toBe(202);
      expect(await chain()).toBe(before);
      server.skew += 24 * hour;
      expect((await open()).status).toBe(202);
    }));
});

test('so many made-up machines cannot bury the honest one: after five open questions it is 429', async () => {
  await wellKnown(20 * minute);
  const boots = Array.from({ length: 5 }, (_, n) => `6f1b7a52-0000-4000-8000-00000000001${n}`);
  for (const bootId of boots) expect((await open({ bootId })).status).toBe(202);
  const more = await open({ bootId: otherBoot });
  expect([more.status, more.body.code]).toEqual([429, 'rate_limited']);
  expect((await open({ bootId: boots[0] as string })).status).toBe(202);
});

describe('when the key server itself was away', () => {
  test('balanced tells its owner and releases; the silence is not held against the client', () =>
    ownServer(async () => {
      await wellKnown();
      await server.stop();
      server.skew += 3 * hour;
      await server.resume();
      expect(await beat()).toBe('ok');
      expect(await fetched()).toBe('200');
      const told = (await alerts()).filter(({ event }) => event === 'presence_gap');
      expect(told).toEqual([expect.objectContaining({ fault: 'server', outcome: 'alerted' })]);
    }));

  test('its sleep counts as well: the wall clock went on', () =>
    ownServer(async () => {
      await wellKnown();
      server.skew += 3 * hour;
      expect(await fetched()).toBe('200');
    }));

  test('a machine that was started anew meanwhile is held, and so is any under strict', () =>
    ownServer(async () => {
      await wellKnown();
      server.skew += 3 * hour;
      expect((await open({ bootId: otherBoot })).status).toBe(202);
      await policy({ preset: 'strict' });
      const { approval } = (await open()).body;
      const { gates } = await server.beside((tx) => findApproval(tx, String(approval), server.now()));
      expect(gates).toEqual([{ gate: 'presence', reason: 'away with the key server' }]);
    }));

  test('a silence that is longer than the server’s own is the client’s', () =>
    ownServer(async () => {
      await wellKnown(11 * minute);
      server.skew += 3 * hour;
      expect((await open()).status).toBe(202);
    }));
});

describe('each start of the machine, under strict', () => {
  test('wants a yes, whatever heartbeats came before, and the boot is known then', async () => {
    await policy({ preset: 'strict' });
    await wellKnown();
    await beat(otherBoot);
    const held = await open({ bootId: otherBoot, reason: 'cold' });
    expect(held.status).toBe(202);
    await decide(held.body.approval, 'approve');
    expect(await fetched({ bootId: otherBoot, reason: 'cold' })).toBe('200');
    expect(await fetched({ bootId: otherBoot })).toBe('200');
    expect((await open({ bootId: boot })).status).toBe(202);
    expect((await open({ bootId: null })).status).toBe(202);
  });

  test('needs none under balanced', async () => {
    await wellKnown();
    expect(await fetched({ bootId: otherBoot, reason: 'cold' })).toBe('200');
  });
});

describe('another fingerprint', () => {
  test('is held under balanced; after a yes it is the enrolled one, and the old one is not', async () => {
    await wellKnown();
    const held = await open({ fingerprint: otherPrint });
    expect(held.status).toBe(202);
    await decide(held.body.approval, 'approve');
    expect(await fetched({ fingerprint: otherPrint })).toBe('200');
    expect(await fetched({ fingerprint: otherPrint })).toBe('200');
    expect((await open({ fingerprint: print })).status).toBe(202);
  });

  test('is refused under strict', async () => {
    await policy({ preset: 'strict' });
    await wellKnown();
    expect(await fetched({ fingerprint: otherPrint })).toBe('403 fingerprint_refused');
    const told = (await alerts()).filter(({ event }) => event === 'fingerprint_changed');
    expect(told).toEqual([expect.objectContaining({ was: print, is: otherPrint, outcome: 'denied' })]);
  });

  test('passes under relaxed, is told of once, and is the enrolled one from then on', async () => {
    await policy({ preset: 'relaxed' });
    await wellKnown();
    expect(await fetched({ fingerprint: otherPrint })).toBe('200');
    expect(await fetched({ fingerprint: otherPrint })).toBe('200');
    expect((await alerts()).filter(({ event }) => event === 'fingerprint_changed')).toHaveLength(1);
  });

  test('and an absence at once are one question, and one yes answers both', async () => {
    await wellKnown(20 * minute);
    const held = await open({ fingerprint: otherPrint });
    const { gates } = await server.beside((tx) => findApproval(tx, String(held.body.approval), server.now()));
    expect(gates.map(({ gate }) => gate)).toEqual(['fingerprint', 'presence']);
    await decide(held.body.approval, 'approve');
    expect(await fetched({ fingerprint: otherPrint })).toBe('200');
  });

  test('that joins while a question is open is added to it', async () => {
    await policy({ presence: 'off' });
    await wellKnown(20 * minute);
    const first = (await open({ fingerprint: otherPrint })).body.approval;
    await policy({ presence: 'hold' });
    expect((await open({ fingerprint: otherPrint })).body.approval).toBe(first);
    const { gates } = await server.beside((tx) => findApproval(tx, String(first), server.now()));
    expect(gates.map(({ gate }) => gate)).toEqual(['fingerprint', 'presence']);
  });
});

test('a fresh install trips over nothing: commands and web server differ, heartbeats come late and with pauses', async () => {
  expect(await fetched({ reason: 'verify' })).toBe('200');
  expect(await fetched({ reason: 'cold', fingerprint: null })).toBe('200');
  expect(await beat()).toBe('ok');
  await silentFor(40 * minute);
  expect(await fetched({ reason: 'cold', fingerprint: null })).toBe('200');
  expect(await fetched({ reason: 'cli:cron' })).toBe('200');
  expect(await fetched({ reason: 'restore' })).toBe('200');
  expect((await alerts()).filter(({ event }) => event !== 'client_enrolled')).toEqual([]);
});

describe('cold fetches that nothing explains', () => {
  test('are told of under balanced, and held under strict', async () => {
    await wellKnown();
    for (let n = 0; n < 6; n++) expect(await fetched({ reason: 'cold' })).toBe('200');
    expect((await alerts()).filter(({ event }) => event === 'habit')).toEqual([]);
    for (let n = 0; n < 2; n++) expect(await fetched({ reason: 'cold' })).toBe('200');
    expect((await alerts()).filter(({ event }) => event === 'habit')).toHaveLength(1);
    await policy({ preset: 'strict' });
    const { approval } = (await open({ reason: 'cold' })).body;
    expect(await fetched({ reason: 'cli:cron' })).toBe('200');
    await decide(approval, 'approve');
    expect(await fetched({ reason: 'cold' })).toBe('200');
    expect(await fetched({ reason: 'cold' })).toBe('200');
  });
});

test('outside the allowed hours nobody is asked', async () => {
  const tomorrow = new Date(server.now() + 24 * hour).getUTCDay();
  const name = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'][tomorrow];
  await policy({ schedule: `UTC ${name} 00:00-24:00` });
  expect(await fetched()).toBe('403 outside_hours');
  expect(await asked(true)).toEqual([]);
  expect(await beat()).toBe('ok');
});

test('a reset ends what is open, and the enrolment after it forgets the machine', async () => {
  await policy({ preset: 'strict' });
  await wellKnown(20 * minute);
  const { approval } = (await open()).body;
  const { code } = await server.beside(async (tx) =>
    resetClient(tx, await findClient(tx, client.credentials.clientId), false, server.now(), systemRandom),
  );
  expect(await stateOf(approval)).toBe('withdrawn');
  await expect(decide(approval, 'approve')).rejects.toMatchObject({ code: 'approval_settled' });
  const enrolled = await call(server, 'POST', '/v1/enroll', {}, { code });
  const credentials = enrolled.body as unknown as Credentials;
  client = new HonestClient(credentials, () => server.now());
  expect(await fetched({ bootId: otherBoot, fingerprint: otherPrint, reason: 'cold' })).toBe('200');
});

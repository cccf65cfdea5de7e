import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { decideApproval, findApproval } from '../../keyserver/approvals/approvals.ts';
import { askPerson, type HeldRequest, type Ruling, useApproval } from '../../keyserver/approvals/held-request.ts';
import type { Finding } from '../../keyserver/judgement.ts';
import { systemRandom } from '../../platform/clock.ts';
import { makeTestData, someMoment, type TestData } from './test-data.ts';

const minute = 60_000;
const source = '10.8.0.2';
const away: Finding = { gate: 'presence', reason: 'away' };
const another: Finding = { gate: 'fingerprint', reason: 'another fingerprint' };
const means = { means: 'page', who: 'owner' } as const;

let made: TestData;
let names = 0;
let client: HeldRequest['client'];

beforeAll(async () => {
  made = await makeTestData();
});

afterAll(() => made.remove());

beforeEach(async () => {
  made.clock.set(someMoment);
  const name = `client-${names++}`;
  client = { id: (await made.add({ name })).clientId, name };
});

/** What becomes of a request that these gates hold. */
function ask(holds: readonly Finding[], from = source): Promise<Ruling> {
  const now = made.clock.now();
  const before = { source, bootId: null, fingerprint: null, heardAt: null, presentAt: null, releasedAt: null };
  const facts = {
    call: 'open',
    reason: 'cold',
    now: { time: now, source: from, bootId: null, fingerprint: null },
    before,
    absence: null,
  } as const;
  const request = { client, holds, facts, page: () => 'https://keys.example' };
  return made.data.store.transaction((tx) => askPerson(tx, request, now, systemRandom));
}

const idOf = (ruling: Ruling) => ('refusal' in ruling ? String(ruling.refusal.approval) : ruling.approval);

const decide = (id: string, decision: 'approve' | 'deny') =>
  made.data.store.transaction((tx) => decideApproval(tx, id, decision, means, made.clock.now()));

const use = (id: string, from = source) =>
  made.data.store.transaction((tx) => useApproval(tx, id, from, made.clock.now()));

const find = (id: string) => made.data.store.read((tx) => findApproval(tx, id, made.clock.now()));

async function records(event: string): Promise<number> {
  const rows = await made.data.store.read((tx) => tx.selectFrom('audit').select('body').execute());
  const all = rows.map(({ body }) => JSON.parse(body) as { event: string; client?: string });
  return all.filter((record) => record.event === event && record.client === client.id).length;
}

describe('a yes', () => {
  test('is for one address: another one is another question, and cannot use it', async () => {
    const id = idOf(await ask([away]));
    await decide(id, 'approve');
    expect(idOf(await ask([away], '10.8.0.3'))).not.toBe(id);
    expect(await use(id, '10.8.0.3')).toBe(false);
    expect((await find(id)).state).toBe('approved');
    expect(await ask([away])).toEqual({ approval: id, gates: ['presence'] });
  });

  test('is used up by the first release, and a second one at once gets nothing', async () => {
    const id = idOf(await ask([away]));
    await decide(id, 'approve');
    expect(await Promise.all([use(id), use(id)])).toEqual([true, false]);
    expect(idOf(await ask([away]))).not.toBe(id);
  });

  test('can be used until its last millisecond', async () => {
    const id = idOf(await ask([away]));
    await decide(id, 'approve');
    made.clock.set(someMoment + 15 * minute);
    expect(await use(id)).toBe(false);
    made.clock.set(someMoment + 15 * minute - 1);
    expect(await use(id)).toBe(true);
  });

  test('to some gates is none to others', async () => {
    const id = idOf(await ask([away]));
    await decide(id, 'approve');
    const more = await ask([another, away]);
    expect(more).toMatchObject({ refusal: { verdict: 'hold', code: 'approval_pending' } });
    expect(idOf(more)).not.toBe(id);
  });

  test('to more gates than hold now is one to those', async () => {
    const id = idOf(await ask([another, away]));
    await decide(id, 'approve');
    expect(await ask([away])).toEqual({ approval: id, gates: ['fingerprint', 'presence'] });
  });

  test('that is said again changes nothing: neither its time nor the records', async () => {
    const id = idOf(await ask([away]));
    const { expiresAt } = await decide(id, 'approve');
    made.clock.set(someMoment + minute);
    expect((await decide(id, 'approve')).expiresAt).toBe(expiresAt);
    expect(await records('approval_given')).toBe(1);
    expect((await find(id)).decidedBy).toBe('page owner');
  });
});

test('asking again while a person is asked makes no second question, record or alert', async () => {
  const id = idOf(await ask([away]));
  for (let n = 0; n < 5; n++) expect(idOf(await ask([away]))).toBe(id);
  expect(await records('approval_asked')).toBe(1);
});

test('the question of one client is none of another’s', async () => {
  const id = idOf(await ask([away]));
  await decide(id, 'approve');
  const name = `client-${names++}`;
  client = { id: (await made.add({ name })).clientId, name };
  expect(idOf(await ask([away]))).not.toBe(id);
});

test.each([
  [15 * minute - 1, 'approval_pending', undefined],
  [15 * minute, 'approval_denied', 'lapsed'],
  [75 * minute - 1, 'approval_denied', 'lapsed'],
  [75 * minute, 'approval_pending', undefined],
])('after %i ms without an answer: %s', async (later, code, reason) => {
  await ask([{ gate: 'presence', reason: '' }]);
  made.clock.set(someMoment + later);
  const ruling = await ask([{ gate: 'presence', reason: '' }]);
  expect('refusal' in ruling && [ruling.refusal.code, ruling.refusal.reason || undefined]).toEqual([code, reason]);
});

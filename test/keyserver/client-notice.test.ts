import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { noticeText } from '../../keyserver/calls/client-notice.ts';
import { readOutbox } from '../../platform/alert-report.ts';
import { readAudit } from '../../platform/audit-chain.ts';
import { type Answer, call, type HonestClient, type HostNotice } from './honest-client.ts';
import { masterKeyId } from './made-server.ts';
import { RunningServer } from './running-server.ts';

const notice: HostNotice = { code: 'reapplied', at: 1_750_000_000_000, from: '32.0.2', to: '33.0.1' };

let server: RunningServer;
beforeAll(async () => {
  server = await RunningServer.start({ clients: 8, policy: { lockout: false } });
});
afterAll(() => server.remove());

let taken = 0;
const nextClient = (): HonestClient => server.client(taken++);

function beat(client: HonestClient, told?: HostNotice, changed: object = {}): Promise<Answer> {
  const body = { ...client.heartbeatBody(undefined, told), ...changed };
  return call(server, 'POST', '/v1/heartbeat', client.headers(), body);
}

async function raised(client: HonestClient): Promise<unknown[]> {
  const messages = await server.beside((tx) => readOutbox(tx, 1000));
  const facts = messages.map(({ body }) => JSON.parse(body) as { event: string; client?: { id: string } });
  return facts.filter(({ event, client: about }) => event === 'app_watch' && about?.id === client.credentials.clientId);
}

async function recorded(client: HonestClient): Promise<unknown[]> {
  const records = await server.beside((tx) => readAudit(tx, 0, 1000));
  return records
    .map(({ body }) => JSON.parse(body) as { event: string; client?: string })
    .filter(({ event, client: about }) => event === 'client_notice' && about === client.credentials.clientId);
}

describe('a heartbeat with a notice', () => {
  test('is answered as any other, recorded, and told to the owner', async () => {
    const client = nextClient();
    const answer = await beat(client, notice);
    expect([answer.status, answer.body.state]).toEqual([200, 'ok']);
    expect(await recorded(client)).toEqual([
      expect.objectContaining({ reason: 'reapplied', detail: { at: notice.at, from: '32.0.2', to: '33.0.1' } }),
    ]);
    const { id, name } = { id: client.credentials.clientId, name: expect.any(String) };
    expect(await raised(client)).toEqual([
      { event: 'app_watch', client: { id, name }, source: '127.0.0.1', ...notice },
    ]);
  });

  test('is told once, however often the same one comes', async () => {
    const client = nextClient();
    for (let count = 0; count < 3; count++) expect((await beat(client, notice)).status).toBe(200);
    expect([(await recorded(client)).length, (await raised(client)).length]).toEqual([1, 1]);
    await beat(client, { ...notice, at: notice.at + 1 });
    await beat(client, { code: 'app_gone', at: notice.at + 1 });
    expect(await recorded(client)).toHaveLength(3);
    // the same sort within an hour is counted, not told
    expect(await raised(client)).toHaveLength(2);
  });

  test.each<[string, object]>([
    ['another code', { notice: { ...notice, code: 'app_gone' } }],
    ['another time', { notice: { ...notice, at: notice.at + 1 } }],
    ['another version', { notice: { ...notice, to: '33.0.2' } }],
    ['no version', { notice: { code: notice.code, at: notice.at } }],
    ['nothing', { notice: undefined }],
  ])('that was proved and came with %s in its place is a 401, and nothing is told', async (_name, changed) => {
    const client = server.client(6);
    expect((await beat(client, notice, changed)).status).toBe(401);
    expect([await recorded(client), await raised(client)]).toEqual([[], []]);
  });

  test('put to a message that was proved without is a 401', async () => {
    const client = server.client(6);
    expect((await beat(client, undefined, { notice })).status).toBe(401);
    expect(await recorded(client)).toEqual([]);
  });

  test.each<[string, object, string]>([
    ['an unknown code', { ...notice, code: 'rm' }, 'notice.code'],
    ['no code', { at: notice.at }, 'notice.code'],
    ['no time', { code: notice.code }, 'notice.at'],
    ['a time that no date is', { ...notice, at: 8_640_000_000_000_001 }, 'notice.at'],
    ['a fraction of a millisecond', { ...notice, at: 1.5 }, 'notice.at'],
    ['words for a version', { ...notice, from: 'the old|one' }, 'notice.from'],
    ['a version that is too long', { ...notice, to: '3'.repeat(33) }, 'notice.to'],
    ['an empty version', { ...notice, to: '' }, 'notice.to'],
    ['more than there is to tell', { ...notice, more: 1 }, 'notice.more'],
  ])('that has %s is a 400', async (_name, told, field) => {
    const client = server.client(7);
    const answer = await beat(client, told as HostNotice);
    expect([answer.status, answer.body.field]).toEqual([400, field]);
    expect(await recorded(client)).toEqual([]);
  });

  test('tells of times at the end of all dates too', async () => {
    const client = nextClient();
    expect((await beat(client, { code: 'app_gone', at: 8_640_000_000_000_000 })).status).toBe(200);
    expect(await raised(client)).toHaveLength(1);
  });

  test('that shows a spent link is a fork, and its notice is not taken', async () => {
    const client = nextClient();
    const copy = client.copy();
    expect((await client.exchange(server, [masterKeyId])).status).toBe(200);
    expect((await beat(copy, notice)).body.state).toBe('purge');
    expect([await recorded(client), await raised(client)]).toEqual([[], []]);
  });
});

test('a heartbeat without a notice is proved as ever', () => {
  expect(noticeText(undefined)).toBe('');
  expect(noticeText({ code: 'app_gone', at: 5 })).toBe('|app_gone|5||');
});

import { createServer } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { PostgresLine } from '../../platform/postgres-line.ts';
import { parsePostgresUrl } from '../../platform/postgres-url.ts';
import { postgresMissing, TestPostgres } from '../harness/postgres.ts';

const PATIENCE = { timeout: 20_000, interval: 20 };

describe.skipIf(postgresMissing() !== null)('PostgresLine', () => {
  let postgres: TestPostgres;
  let url: string;
  const lines: PostgresLine[] = [];
  beforeAll(async () => {
    postgres = await TestPostgres.start();
    url = await postgres.newDatabase();
  });
  afterAll(() => postgres.stop());
  afterEach(async () => {
    for (const line of lines.splice(0)) await line.close();
  });

  interface Heard {
    readonly line: PostgresLine;
    readonly texts: string[];
    ups: number;
  }
  const open = async (name: string, at = url): Promise<Heard> => {
    const heard = { texts: [] as string[], ups: 0 };
    const line = await PostgresLine.open({
      address: parsePostgresUrl(at, 'url'),
      name,
      channel: 'news',
      onText: (text) => heard.texts.push(text),
      onUp: () => {
        heard.ups += 1;
      },
    });
    lines.push(line);
    return Object.assign(heard, { line });
  };
  const locked = async ({ line }: Heard): Promise<boolean> => {
    const [row] = await line.ask<{ got: boolean }>('select pg_try_advisory_lock(7) as got');
    return row?.got === true;
  };
  const inDatabase = (text: string) => postgres.sql(text, url.replace(/^.*\//, ''));

  it('hears what the others say, each text once and in order', async () => {
    const [one, two] = [await open('one'), await open('two')];
    for (const text of ['a', 'ü'.repeat(3999), '']) await one.line.say(text);
    await vi.waitFor(() => expect(two.texts).toEqual(['a', 'ü'.repeat(3999), '']), PATIENCE);
    expect(one.texts).toEqual(two.texts);
  });

  it('refuses more than a notification holds, and goes on', async () => {
    const one = await open('one');
    await expect(one.line.say('x'.repeat(8000))).rejects.toMatchObject({ code: 'store_not_written' });
    await one.line.say('short');
    await vi.waitFor(() => expect(one.texts).toEqual(['short']), PATIENCE);
  });

  it('is taken up again after the server ended it, hears again, and tells that it was away', async () => {
    const [one, two] = [await open('one'), await open('two')];
    await inDatabase("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'one'");
    await vi.waitFor(() => expect(one).toMatchObject({ ups: 1, line: { isUp: true } }), PATIENCE);
    await two.line.say('again');
    await vi.waitFor(() => expect(one.texts).toEqual(['again']), PATIENCE);
    expect(two.ups).toBe(0);
  });

  it('refuses while the server is down, and comes back with it', async () => {
    const one = await open('one');
    await postgres.kill();
    await expect(one.line.say('lost')).rejects.toMatchObject({ code: 'store_unreachable', status: 503 });
    expect(one.line.isUp).toBe(false);
    let tries = 0;
    const nobody = createServer((socket) => {
      tries += 1;
      socket.destroy();
    });
    await new Promise<void>((done) => nobody.listen(postgres.port, '127.0.0.1', done));
    await new Promise((done) => setTimeout(done, 1000));
    await new Promise((done) => nobody.close(done));
    expect(tries).toBeLessThan(20); // it rests between two tries
    await postgres.resume();
    await vi.waitFor(() => expect(one.line.isUp).toBe(true), PATIENCE);
    await one.line.say('there');
    await vi.waitFor(() => expect(one.texts).toEqual(['there']), PATIENCE);
  });

  it('loses its locks with the line, so that nobody has to take them away from who is gone', async () => {
    const [one, two] = [await open('one'), await open('two')];
    expect([await locked(one), await locked(two)]).toEqual([true, false]);
    await one.line.close();
    await vi.waitFor(async () => expect(await locked(two)).toBe(true), PATIENCE);
  });

  it('has the server end a side that stands still, and never one that speaks now and then', async () => {
    const [row] = await (await open('one')).line.ask<{ lease: string; version: number }>(
      "select current_setting('idle_session_timeout', true) as lease, current_setting('server_version_num')::int as version",
    );
    expect(row?.lease).toBe((row?.version ?? 0) >= 140_000 ? '15s' : null);
    const two = await open('two');
    const words = async () =>
      (await inDatabase("select state_change from pg_stat_activity where application_name = 'two'"))[0]?.state_change;
    const first = await words();
    await vi.waitFor(async () => expect(await words()).not.toEqual(first), PATIENCE);
    expect(two.ups).toBe(0);
  });

  it('says that there is no server, and keeps the password to itself', async () => {
    const nowhere = await open('one', 'postgresql://u:canary-word@127.0.0.1:9/x').catch((error: unknown) => error);
    expect(nowhere).toMatchObject({ code: 'store_unreachable' });
    expect(JSON.stringify(nowhere)).not.toContain('canary-word');
  });
});

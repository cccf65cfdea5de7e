import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { secretsShown } from '../../keyserver/clients/rotation.ts';
import { addClientCommands } from '../../keyserver/commands/client.ts';
import { sha256 } from '../../platform/encoding.ts';
import { totpCodes } from '../../platform/totp.ts';
import { runCommand } from './command-runner.ts';
import { type Answer, call, HonestClient } from './honest-client.ts';
import { masterKeyId } from './made-server.ts';
import { RunningServer } from './running-server.ts';

let server: RunningServer;
let client: HonestClient;
function aRunningServer(): void {
  beforeEach(async () => {
    server = await RunningServer.start({ clients: 1 });
    client = server.client();
  });
  afterEach(() => server.remove());
}

const rotate = (...argv: string[]) =>
  runCommand(addClientCommands, ['client', 'rotate', 'client-0', '--data', server.made.data, ...argv]);
const begin = (...what: string[]) => rotate('--keyfile', server.made.keyfile, ...what);
const release = (who = client) => who.exchange(server, [masterKeyId]);
const heartbeat = (who = client) => call(server, 'POST', '/v1/heartbeat', who.headers(), who.heartbeatBody());
const row = () => server.beside((tx) => tx.selectFrom('client').selectAll().executeTakeFirstOrThrow());

/** The same host after it has stored what an answer told it. */
function afterStoring(answer: Answer, who = client): HonestClient {
  const told = answer.body.rotate as { token?: string; totpSecret?: string };
  const next = new HonestClient({ ...who.credentials, ...told }, () => server.now());
  Object.assign(next.state, who.state);
  return next;
}

describe('keyserver client rotate', () => {
  aRunningServer();

  it.each([
    ['nothing to rotate', [], 2, 'give --token, --totp'],
    ['to begin and to cancel', ['--token', '--cancel'], 2, 'give --token, --totp'],
    ['a vault that stays closed', ['--token'], 2, 'sealed with a keyfile'],
  ])('refuses %s', async (_, argv, exit, words) => {
    const said = await rotate(...argv);
    expect(said).toMatchObject({ exit, stdout: '' });
    expect(said.stderr).toContain(words);
    expect((await row()).next_sealed).toBeNull();
  });
  it('refuses a client that is not enrolled', async () => {
    await server.beside((tx) => tx.updateTable('client').set({ state: 'locked' }).execute());
    expect(await begin('--token')).toMatchObject({ exit: 3, stderr: expect.stringContaining('is locked') });
  });
  it('is taken back only as long as the client was not told', async () => {
    expect((await rotate('--cancel')).stdout).toContain('nothing was under way');
    await begin('--token');
    await begin('--totp');
    expect((await rotate('--cancel')).stdout).toContain('keeps its secrets');
    expect((await release()).body.rotate).toBeUndefined();
    await begin('--token');
    await release();
    const before = await row();
    for (const said of [await rotate('--cancel'), await begin('--token')]) {
      expect(said).toMatchObject({ exit: 3, stderr: expect.stringContaining('was told new secrets') });
    }
    expect(await row()).toEqual({ ...before });
  });
  it('keeps the new secrets out of the database, the log and the audit', async () => {
    await begin('--token', '--totp');
    const told = (await release()).body.rotate as { token: string; totpSecret: string };
    const kept = JSON.stringify([await row(), await server.audit(), server.log]);
    for (const secret of [told.token, told.totpSecret]) expect(kept).not.toContain(secret);
    expect(Object.keys(told)).toEqual(['token', 'totpSecret']);
  });
  it('shows where it stands', async () => {
    const show = () => runCommand(addClientCommands, ['client', 'show', 'client-0', '--data', server.made.data]);
    await begin('--token');
    expect((await show()).stdout).toMatch(/rotation +begun .*Z, told with its next release/);
    await release();
    expect((await show()).stdout).toMatch(/rotation +begun .*Z, told at .*Z, not used yet/);
  });
});

describe('a rotation', () => {
  aRunningServer();

  it.each([[['--token']], [['--totp']], [['--token', '--totp']]])(
    'by %j has no gap and ends the old secrets',
    async (what) => {
      const old = client.copy();
      await begin(...what);
      const first = await release();
      expect(first.status).toBe(200);
      // a crash before it was stored: the old secrets are good, and the same ones are told again
      const second = await release();
      expect(second.status).toBe(200);
      expect(second.body.rotate).toEqual(first.body.rotate);
      expect((await heartbeat()).body.state).toBe('ok');

      const renewed = afterStoring(second);
      const third = await release(renewed);
      expect(third.status).toBe(200);
      expect(third.body.rotate).toBeUndefined();
      expect((await heartbeat(renewed)).body.state).toBe('ok');
      expect(await row()).toMatchObject({ next_token_hash: null, next_totp_sealed: null, next_sealed: null });
      expect((await server.events()).filter((event) => event.startsWith('client_rot'))).toEqual([
        'client_rotation_begun',
        'client_rotated',
      ]);
      // the old secrets with the newest link: nothing
      Object.assign(old.state, renewed.state);
      expect(await release(old)).toMatchObject({ status: 401 });
      expect((await row()).state).toBe('enrolled');
    },
  );
  it('is not ended by a call that no gate lets pass', async () => {
    await begin('--token');
    const renewed = afterStoring(await release());
    const stranger = { ...renewed.openBody(), link: Buffer.alloc(32, 9).toString('base64url') };
    expect(await call(server, 'POST', '/v1/open', renewed.openHeaders(), stranger)).toMatchObject({ status: 401 });
    expect((await row()).next_sealed).not.toBeNull();
    expect(await release()).toMatchObject({ status: 200 });
    expect(await release(afterStoring(await release()))).toMatchObject({ status: 200 });
  });
  it('hides no copy: the host whose secrets a copy had changed is still the one that shows the fork', async () => {
    const copy = client.copy();
    await begin('--token', '--totp');
    const stolen = await release(copy);
    expect(stolen.status).toBe(200);
    expect(await release(afterStoring(stolen, copy))).toMatchObject({ status: 200 });
    expect((await heartbeat()).body.state).toBe('purge');
    expect((await row()).state).toBe('locked');
    expect(await server.events()).toContain('fork_detected');
  });
  it('hides no copy from a release either', async () => {
    const copy = client.copy();
    await begin('--token', '--totp');
    await release(afterStoring(await release(copy), copy));
    expect(await release()).toMatchObject({ status: 423 });
    expect(await server.events()).toContain('fork_detected');
  });
});

describe('secretsShown()', () => {
  const secret = (byte: number) => Buffer.alloc(20, byte);
  const now = 1_750_000_000_000;
  const codes = {
    present: totpCodes(secret(1), now),
    next: totpCodes(secret(2), now),
    former: totpCodes(secret(3), now),
  };
  const someone = { rotation: null, former: null };
  const rotation = { tokenHash: null, totpSealed: secret(0), sealed: secret(0), since: 0, toldAt: null };
  const shown = (part: object, token: string, totp: string | null, list = codes) =>
    secretsShown({ ...someone, ...part }, { tokenHash: sha256(token), totp }, list);
  const code = (list: keyof typeof codes) => codes[list][1]?.code.toString() ?? '';

  it('holds the older explanation of a code that two secrets share', () => {
    const same = { ...codes, next: codes.present };
    expect(shown({ rotation }, 'present', code('present'), same)).toBe('present');
  });
  it('does not take a new code for new secrets while the token changes too', () => {
    expect(shown({ rotation: { ...rotation, tokenHash: sha256('next') } }, 'present', code('next'))).toBe('present');
    expect(shown({ rotation: { ...rotation, tokenHash: sha256('next') } }, 'next', code('next'))).toBe('next');
  });
  it('tells the ages apart', () => {
    expect(shown({ rotation }, 'present', code('next'))).toBe('next');
    expect(shown({ rotation }, 'present', null)).toBe('present');
    expect(shown({}, 'present', code('former'))).toBe('former');
    expect(shown({ former: { tokenHash: sha256('former'), totpSealed: null } }, 'former', null)).toBe('former');
  });
});

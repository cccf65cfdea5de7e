import { mkdtempSync, rmSync } from 'node:fs';
import { Agent } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addClientCommands } from '../../../keyserver/commands/client.ts';
import { addKillCommands } from '../../../keyserver/commands/kill.ts';
import { addStatusCommand } from '../../../keyserver/commands/status.ts';
import { refuseUnreturned, unreturned } from '../../../patcher/setup/keys-come-back.ts';
import { openLocalTransport } from '../../../patcher/transports/local-transport.ts';
import type { Transport } from '../../../patcher/transports/transport.ts';
import type { CommandIo } from '../../../platform/command-io.ts';
import { Cleanup } from '../../harness/cleanup.ts';
import { freePort } from '../../harness/free-port.ts';
import { KeyServer } from '../../harness/keyserver-process.ts';
import { runCommand } from '../../keyserver/command-runner.ts';
import { call } from '../../keyserver/honest-client.ts';
import { exampleFacts } from '../example-facts.ts';
import { agreedOn, commandsWithin, contextOf } from './key-server-world.ts';

const client = { name: 'cloud', state: 'enrolled', killed: false } as const;
const home = {
  data: '/keys',
  keyserver: 'sudo -u latchkey keyserver',
  start: 'systemctl start ',
  service: 'latchkey-keyserver.service',
};

describe('whether a key server gives keys back', () => {
  it.each([
    ['has stopped its releases', 'killed', {}, 'releases_stopped', 'keyserver revive --data /keys'],
    ['does not run', 'not running', {}, 'key_server_silent', 'systemctl start latchkey-keyserver.service'],
    ['has its vault closed', 'sealed', {}, 'key_server_silent', 'keyserver doctor --data /keys'],
    ['is unwell', 'degraded', {}, 'key_server_silent', 'keyserver doctor --data /keys'],
    ['is another program', 'another program answers there', {}, 'key_server_silent', 'keyserver doctor'],
    [
      'has stopped this client',
      'ok',
      { killed: true },
      'releases_stopped',
      'keyserver revive --client cloud --data /keys',
    ],
    ['has locked this client', 'ok', { state: 'locked' }, 'client_locked', 'keyserver client reset cloud --data /keys'],
    ['waits for a new enrolment', 'ok', { state: 'new' }, 'client_locked', 'keyserver client reset cloud'],
    ['has revoked this client', 'ok', { state: 'revoked' }, 'client_revoked', 'a revoked client stays so'],
  ] as const)('is no where it %s', (_, health, changes, code, hint) => {
    const why = unreturned(health, { ...client, ...changes }, home);
    expect(why).toMatchObject({ code, hint: expect.stringContaining(hint) });
  });

  it('is not denied where all is well', () => expect(unreturned('ok', client, home)).toBeNull());
});

function addCommands(program: Command, io: CommandIo): void {
  addClientCommands(program, io);
  addKillCommands(program, io);
  addStatusCommand(program, io);
}

/** Why the account that this runs as cannot be the key server's, or `null`. */
const obstacle = process.platform === 'linux' && process.getuid?.() === 0 ? null : 'only root is both ends here';

describe.skipIf(obstacle !== null)('a teardown, before it begins', { timeout: 60_000 }, () => {
  const cleanup = new Cleanup();
  let server: KeyServer;
  let port: number;
  let transport: Transport;
  let clientId: string;
  let enrolledId: string;

  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'lk-keys-come-back-'));
    cleanup.add(folder, () => rmSync(folder, { recursive: true }));
    port = await freePort();
    server = await KeyServer.init({ data: join(folder, 'data'), port, cleanup });
    await server.start();
    transport = commandsWithin(await openLocalTransport({ prompter: null }), addCommands);
    clientId = ((await keyserver('client', 'add', 'cloud', '--from', '127.0.0.1')) as { clientId: string }).clientId;
    const second = (await keyserver('client', 'add', 'cloud-2', '--from', '127.0.0.1')) as { code: string; ca: string };
    const agent = new Agent({ ca: second.ca });
    const { body } = await call({ port, agent }, 'POST', '/v1/enroll', {}, { code: second.code });
    agent.destroy();
    enrolledId = String(body.clientId);
  });
  afterAll(async () => expect(await cleanup.run()).toEqual([]));

  const keyserver = async (...argv: string[]): Promise<unknown> =>
    JSON.parse((await runCommand(addCommands, [...argv, '--data', server.data, '--json'])).stdout);

  function ahead(
    id: string,
    { keys = ['master_1'], fromCopy = null as string | null, also = [] as string[] } = {},
  ): Promise<void> {
    const urls = [`https://127.0.0.1:${port}`];
    const enrolment = { directory: '/x', clientId: id, urls: [...urls, ...also], keys };
    const keyServer = {
      listen: { host: '127.0.0.1', port },
      data: server.data,
      keyfile: `${server.data}.keyfile`,
      account: 'root',
    };
    return refuseUnreturned(
      contextOf({ transport, platform: 'linux', keyserver: ['keyserver'] }, agreedOn({ ...keyServer, urls }), {
        facts: async () => exampleFacts({ enrolment }),
        fromCopy,
      }),
    );
  }

  it('stops where releases are stopped, says so, and leaves the way by the owner’s copy', async () => {
    await keyserver('kill');
    await expect(ahead(clientId)).rejects.toMatchObject({
      code: 'releases_stopped',
      exit: 3,
      message: expect.stringContaining('nothing was taken away'),
      hint: expect.stringContaining('--from-copy FILE'),
    });
    await ahead(clientId, { fromCopy: '/media/stick/copy.json' });
    await ahead(clientId, { keys: [] });
    await keyserver('revive');
  });

  it('stops where the key server says that this client may have nothing', async () => {
    await expect(ahead(clientId)).rejects.toMatchObject({ code: 'client_locked', exit: 3 });
  });

  it('says nothing of a Nextcloud that asks another key server', async () => {
    await ahead('lk-000000000000000000000000');
  });

  it('stops where nothing runs that could be asked', async () => {
    await server.stop();
    await expect(ahead(clientId)).rejects.toMatchObject({ code: 'key_server_silent', exit: 3 });
  });

  it('does not stop for it where another key server can be asked, unless this client may have nothing', async () => {
    const also = ['https://10.9.9.9:8443'];
    await expect(ahead(clientId, { also })).rejects.toMatchObject({ code: 'client_locked' });
    await expect(ahead(enrolledId)).rejects.toMatchObject({ code: 'key_server_silent', exit: 3 });
    await ahead(enrolledId, { also });
  });
});

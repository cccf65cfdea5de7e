import { mkdtempSync, rmSync } from 'node:fs';
import { Agent } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { addAuditCommands } from '../../../keyserver/commands/audit.ts';
import { addClientCommands } from '../../../keyserver/commands/client.ts';
import { addKillCommands } from '../../../keyserver/commands/kill.ts';
import type { Occ } from '../../../patcher/actions/action.ts';
import type { Enrolment, Facts } from '../../../patcher/facts.ts';
import { freshGrant } from '../../../patcher/setup/key-server/grant.ts';
import type { SetupContext, SetupStep } from '../../../patcher/setup/setup-step.ts';
import { enrolStep } from '../../../patcher/setup/steps/enrol-step.ts';
import { openLocalTransport } from '../../../patcher/transports/local-transport.ts';
import type { Transport } from '../../../patcher/transports/transport.ts';
import type { CommandIo } from '../../../platform/command-io.ts';
import { Cleanup } from '../../harness/cleanup.ts';
import { freePort } from '../../harness/free-port.ts';
import { KeyServer } from '../../harness/keyserver-process.ts';
import { runCommand } from '../../keyserver/command-runner.ts';
import { call } from '../../keyserver/honest-client.ts';
import { exampleFacts } from '../example-facts.ts';
import { agreedOn, commandsWithin, contextOf, memoryOf } from './key-server-world.ts';

interface Listed {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly from: readonly string[];
}

function addCommands(program: Command, io: CommandIo): void {
  addClientCommands(program, io);
  addKillCommands(program, io);
  addAuditCommands(program, io);
}

/** Why the account that this runs as cannot be the key server's, or `null`. */
const obstacle = process.platform === 'linux' && process.getuid?.() === 0 ? null : 'only root is both ends here';

describe.skipIf(obstacle !== null)('the enrolment of a setup', { timeout: 60_000 }, () => {
  const cleanup = new Cleanup();
  let folder: string;
  let server: KeyServer;
  let port: number;
  let transport: Transport;
  let count = 0;
  /** What Nextcloud holds, and what its app was told. */
  let enrolment: Enrolment | null;
  let told: { readonly args: readonly string[]; readonly input: string }[];
  let fails: 'before' | 'after' | null;
  let name: string;
  let notes: string[];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'lk-enrol-step-'));
    cleanup.add(folder, () => rmSync(folder, { recursive: true }));
    port = await freePort();
    server = await KeyServer.init({ data: join(folder, 'data'), port, cleanup });
    await server.start();
    transport = commandsWithin(await openLocalTransport({ prompter: null }), addCommands);
  });
  afterAll(async () => expect(await cleanup.run()).toEqual([]));
  beforeEach(() => {
    enrolment = null;
    told = [];
    fails = null;
    notes = [];
    count += 1;
    name = `cloud${count}`;
  });
  /** What is secret has come by standard input only. */
  afterEach(() => {
    for (const { args, input } of told) {
      expect(args.join(' ')).not.toContain((JSON.parse(input) as { code: string }).code);
    }
  });

  const url = () => `https://127.0.0.1:${port}`;
  const keyserver = async (...argv: string[]): Promise<unknown> =>
    JSON.parse((await runCommand(addCommands, [...argv, '--data', server.data, '--json'])).stdout);
  const clients = async () => ((await keyserver('client', 'list')) as { clients: Listed[] }).clients;
  const ownClients = async () => (await clients()).filter((one) => one.name.startsWith(name));

  /** The app's side of an enrolment: it spends the code by TLS, trusting the authority that it is given. */
  const occ: Occ = async (args, { input = '' } = {}) => {
    told.push({ args, input: String(input) });
    const { urls, code, ca } = JSON.parse(String(input)) as { urls: string[]; code: string; ca: string };
    if (fails === 'before') return refusal();
    const agent = new Agent({ ca });
    const { port: asked } = new URL(urls[0] ?? '');
    const { status, body } = await call({ port: Number(asked), agent }, 'POST', '/v1/enroll', {}, { code });
    agent.destroy();
    if (status !== 201 || fails === 'after') return refusal();
    enrolment = { directory: '/var/lib/latchkey/oc1234567890', clientId: String(body.clientId), urls, keys: [] };
    return { exit: 0, stdout: Buffer.from(JSON.stringify({ clientId: body.clientId, keys: body.keys })), stderr: '' };
  };
  const refusal = () => {
    const error = { code: 'key_server_unreachable', message: 'the key server cannot be reached', hint: '' };
    return { exit: 1, stdout: Buffer.from(JSON.stringify({ error })), stderr: '' };
  };

  function facts(): Facts {
    const files = { path: '/app', version: '1.0.0', content: {} };
    return exampleFacts({
      app: { state: enrolment === null ? 'enabled' : 'enrolled', enabled: true, installedVersion: '1.0.0', files },
      stateFolder: { path: '/var/lib/latchkey/oc1234567890', exists: true, owner: 'www-data', mode: '700' },
      enrolment,
    });
  }

  function context(
    changes: {
      readonly urls?: string[];
      readonly from?: string[];
      readonly data?: string;
      readonly now?: () => number;
      readonly memory?: SetupContext['memory'];
    } = {},
  ): SetupContext {
    const { now = () => Date.now(), memory = memoryOf(), ...agreed } = changes;
    const keyServer = {
      listen: { host: '127.0.0.1', port },
      data: server.data,
      keyfile: `${server.data}.keyfile`,
      account: 'root',
    };
    return contextOf(
      { transport, platform: 'linux', keyserver: ['keyserver'] },
      agreedOn({ ...keyServer, urls: [url()], ...agreed }),
      {
        wish: { client: name },
        facts: async () => facts(),
        nextcloud: { instance: { occ } } as unknown as SetupContext['nextcloud'],
        progress: { step: () => undefined, note: (text) => void notes.push(text) },
        now,
        memory,
      },
    );
  }
  const step = (changes?: Parameters<typeof context>[0]): SetupStep => enrolStep(context(changes));

  it('refuses a client of that name that another Nextcloud may be, and leaves it as it is', async () => {
    const { code } = (await keyserver('client', 'add', name, '--from', '127.0.0.1')) as { code: string };
    await occ(['remotekey:enroll'], { input: JSON.stringify({ urls: [url()], code, ca: await authority() }) });
    await keyserver('kill', '--client', name);
    enrolment = null;
    const before = await ownClients();
    expect(await step().look()).toMatchObject({ state: 'impossible', code: 'client_taken' });
    await expect(step().carryOut()).rejects.toMatchObject({ code: 'client_taken', exit: 3 });
    expect(await ownClients()).toEqual(before);
  });

  it('refuses a Nextcloud that is enrolled elsewhere, and tells it nothing', async () => {
    enrolment = { directory: '/x', clientId: 'lk-000000000000000000000000', urls: [url()], keys: [] };
    await expect(step().carryOut()).rejects.toMatchObject({ code: 'enrolled_elsewhere', exit: 3 });
    expect(told).toEqual([]);
    expect(await ownClients()).toEqual([]);
  });

  it.each<['before' | 'after']>([['before'], ['after']])(
    'leaves nobody who may ask when the enrolment fails %s the code was spent, and goes on from there',
    async (when) => {
      fails = when;
      const failing = step();
      await expect(failing.carryOut()).rejects.toMatchObject({ code: 'key_server_unreachable' });
      expect(await failing.undo()).toEqual([]);
      expect((await ownClients()).map(({ state }) => state)).toEqual(['revoked']);
      fails = null;
      await step().carryOut();
      expect((await ownClients()).map((one) => [one.name, one.state])).toEqual([
        [name, 'revoked'],
        [`${name}-2`, 'enrolled'],
      ]);
    },
  );

  it.each<['before' | 'after']>([['before'], ['after']])(
    'has one client only when a run was killed %s the code was spent',
    async (when) => {
      fails = when;
      await expect(step().carryOut()).rejects.toMatchObject({ code: 'key_server_unreachable' });
      fails = null;
      expect(await step().look()).toEqual({ state: 'missing' });
      await step().carryOut();
      const after = await ownClients();
      expect(after).toMatchObject([{ name, state: 'enrolled', id: enrolment?.clientId }]);
    },
  );

  it('does not revoke whom it has invited once another Nextcloud speaks by that name', async () => {
    fails = 'before';
    const failing = step();
    await expect(failing.carryOut()).rejects.toMatchObject({ code: 'key_server_unreachable' });
    fails = null;
    const other = step();
    await other.carryOut();
    await keyserver('kill', '--client', name); // whatever tells that it is somebody's
    enrolment = null;
    expect(await failing.undo()).toEqual([expect.stringContaining('another Nextcloud has its credentials')]);
    expect(await ownClients()).toMatchObject([{ state: 'enrolled' }]);
  });

  it('enrols by code and authority through memory, and has nothing to do then', async () => {
    expect((await step().plan()).join('\n')).toContain(`client ${name}, which may ask from 127.0.0.1/32`);
    expect(await clients()).not.toContainEqual(expect.objectContaining({ name }));
    const own = step();
    expect(await own.look()).toEqual({ state: 'missing' });
    const lines = await own.carryOut();
    const spoken = [...notes, ...lines];
    expect(lines).toEqual([`enrolled as ${enrolment?.clientId} (${name} at home)`]);
    expect(spoken.filter((line) => line.startsWith('certificate authority SHA256:'))).toHaveLength(1);
    expect(told).toMatchObject([{ args: ['remotekey:enroll', expect.stringMatching(/^--dir=/), '--output=json'] }]);
    expect(JSON.parse(told[0]?.input ?? '')).toMatchObject({ urls: [url()], replace: false });
    expect(await own.look()).toMatchObject({ state: 'done' });
    expect(await own.carryOut()).toEqual([`enrolled as ${enrolment?.clientId}`]);
    expect(told).toHaveLength(1);
  });

  it('lets requests come from where they will, without a new enrolment', async () => {
    await step().carryOut();
    const from = ['10.71.3.2/32'];
    expect(await step({ from }).look()).toEqual({ state: 'missing' });
    expect(await step({ from }).plan()).toEqual([expect.stringContaining('127.0.0.1/32, 10.71.3.2/32')]);
    await step({ from }).carryOut();
    expect(await ownClients()).toMatchObject([{ from: ['127.0.0.1/32', '10.71.3.2/32'], state: 'enrolled' }]);
    expect(told).toHaveLength(1);
  });

  describe('freshGrant()', () => {
    it('is nothing for a Nextcloud that is not enrolled', async () => {
      expect(await freshGrant(context())).toBeNull();
    });
    it('is what came with the enrolment, once, and then a new one', async () => {
      const run = context();
      await enrolStep(run).carryOut();
      const audit = async () =>
        ((await keyserver('audit', 'tail', '-n', '3')) as { records: { event: string }[] }).records;
      const first = await freshGrant(run);
      expect(first).toMatch(/^[A-Za-z0-9_-]{43}$/);
      expect((await audit()).at(-1)?.event).toBe('client_enrolled');
      const second = await freshGrant(run);
      expect(second).toMatch(/^[A-Za-z0-9_-]{43}$/);
      expect(second).not.toBe(first);
      expect((await audit()).at(-1)?.event).toBe('grant_made');
    });
    it('is a new one when the first is about to end', async () => {
      let now = 1_000_000;
      const run = context({ now: () => now });
      await enrolStep(run).carryOut();
      now += 51 * 60_000;
      await freshGrant(run);
      const { records } = (await keyserver('audit', 'tail', '-n', '1')) as {
        records: { event: string }[];
      };
      expect(records[0]?.event).toBe('grant_made');
    });
  });

  describe('on a server that says it is the client of another Nextcloud', () => {
    let anothers: string;
    /** A victim at the same key server. */
    beforeEach(async () => {
      const added = await keyserver('client', 'add', `victim-${name}`, '--from', '10.9.9.9');
      anothers = (added as { clientId: string }).clientId;
      enrolment = { directory: '/x', clientId: anothers, urls: [url()], keys: [] };
    });
    const victim = async () => (await clients()).find(({ id }) => id === anothers);
    const records = async (): Promise<number> =>
      ((await keyserver('audit', 'tail', '-n', '1')) as { records: { seq: number }[] }).records[0]?.seq ?? 0;

    it.each<[string, (id: string) => Partial<SetupContext['memory']>]>([
      ['nothing is known from before', () => ({})],
      ['another client was invited for it', () => ({ clientId: 'lk-000000000000000000000000' })],
      ['that one was set up from here', (id) => ({ others: [{ folder: '/r/v', clientId: id, instanceId: 'ocv' }] })],
    ])('does, reveals and takes away nothing when %s', async (_, known) => {
      const [before, seen] = [await victim(), await records()];
      const own = { from: ['10.71.3.2/32'], memory: memoryOf(known(anothers)) };
      expect(await step(own).look()).toMatchObject({ state: 'impossible', code: 'client_differs' });
      const refused = { code: 'client_differs', exit: 3 };
      await expect(step(own).carryOut()).rejects.toMatchObject(refused);
      await expect(freshGrant(context(own))).rejects.toMatchObject(refused);
      await expect(step(own).planRemoval()).rejects.toMatchObject(refused);
      await expect(step(own).takeAway({ purge: false })).rejects.toMatchObject(refused);
      expect([await victim(), await records()]).toEqual([before, seen]);
      expect(told).toEqual([]);
    });
  });

  it('knows whom it has invited, before the code goes out', async () => {
    const memory = memoryOf();
    fails = 'before';
    await expect(step({ memory }).carryOut()).rejects.toMatchObject({ code: 'key_server_unreachable' });
    expect(memory.clientId).toBe((await ownClients())[0]?.id);
  });

  it.each<['before' | 'after']>([['before'], ['after']])(
    'is still known as the client it was when a new enrolment fails %s the code was spent',
    async (when) => {
      const memory = memoryOf();
      await step({ memory }).carryOut();
      const first = enrolment?.clientId;
      expect(memory).toMatchObject({ clientId: first, before: null });
      await keyserver('client', 'revoke', name);
      fails = when;
      const failing = step({ memory });
      await expect(failing.carryOut()).rejects.toMatchObject({ code: 'key_server_unreachable' });
      // as a run that was killed here leaves it
      expect(memory.before).toBe(first);
      expect(await step({ memory }).look()).toEqual({ state: 'missing' });
      expect(await freshGrant(context({ memory })).catch((error: { code: string }) => error.code)).not.toBe(
        'client_differs',
      );
      await failing.undo();
      expect(memory).toMatchObject({ clientId: first, before: null });
      expect(await step({ memory }).look()).toEqual({ state: 'missing' });
      fails = null;
      await step({ memory }).carryOut();
      expect(memory).toMatchObject({ clientId: enrolment?.clientId, before: null });
      expect(await step({ memory }).look()).toMatchObject({ state: 'done' });
    },
  );

  it('is known as nobody when a first enrolment has failed', async () => {
    const memory = memoryOf();
    fails = 'before';
    const failing = step({ memory });
    await expect(failing.carryOut()).rejects.toMatchObject({ code: 'key_server_unreachable' });
    await failing.undo();
    expect(memory.clientId).toBeNull();
  });

  it('does not revoke a client whose keys are on the key server only', async () => {
    await step().carryOut();
    if (enrolment !== null) enrolment = { ...enrolment, keys: ['master_1.privateKey'] };
    await expect(step().takeAway({ purge: false })).rejects.toMatchObject({ code: 'keys_on_key_server', exit: 3 });
    expect(await ownClients()).toMatchObject([{ state: 'enrolled' }]);
  });

  it('revokes its client, also when Nextcloud has forgotten it already, and twice is as once', async () => {
    await step().carryOut();
    enrolment = null;
    expect(await step().planRemoval()).toEqual([expect.stringContaining(`client ${name} (lk-`)]);
    expect(await step().takeAway({ purge: false })).toEqual([]);
    expect(await ownClients()).toMatchObject([{ state: 'revoked' }]);
    expect(await step().planRemoval()).toEqual([]);
    expect(await step().takeAway({ purge: false })).toEqual([]);
  });

  it('has nothing to take away where there is no key server', async () => {
    expect(await step({ data: join(folder, 'none') }).planRemoval()).toEqual([]);
    expect(await step({ data: join(folder, 'none') }).takeAway({ purge: true })).toEqual([]);
  });

  async function authority(): Promise<string> {
    const { stdout } = await transport.run(['cat', join(server.data, 'ca.pem')]);
    return stdout.toString('utf8');
  }
});

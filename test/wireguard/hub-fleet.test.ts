import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { systemRandom } from '../../platform/clock.ts';
import { hashPassword } from '../../platform/password.ts';
import { totpCode, totpSecretBytes, totpStep } from '../../platform/totp.ts';
import { addAccount } from '../../wireguard/access/accounts.ts';
import { addBackupCommand } from '../../wireguard/commands/backup.ts';
import { addDoctorCommand } from '../../wireguard/commands/doctor.ts';
import { addInitCommand } from '../../wireguard/commands/init.ts';
import { addInterfaceCommand } from '../../wireguard/commands/interface.ts';
import { addJoinCommand } from '../../wireguard/commands/join.ts';
import { addRestoreCommand } from '../../wireguard/commands/restore.ts';
import { addStatusCommand } from '../../wireguard/commands/status.ts';
import { readConfig, writeConfig } from '../../wireguard/data/hub-config.ts';
import { COMMAND } from '../../wireguard/hub/actor.ts';
import { claimNumber } from '../../wireguard/hub/interface-claims.ts';
import { generateKeyPair } from '../../wireguard/keys.ts';
import { poolOf } from '../../wireguard/store/hub-interface.ts';
import { changeInterface } from '../../wireguard/store/interface-change.ts';
import { insertPeer } from '../../wireguard/store/peers.ts';
import { postgresMissing, TestPostgres } from '../harness/postgres.ts';
import { runCommand } from '../keyserver/command-runner.ts';
import { FleetHubs, type FleetMember, secondInterface } from './fleet-hubs.ts';
import { newPeer } from './hub-store.ts';

const NEVER_MS = 3_600_000;
const PATIENCE = { timeout: 20_000, interval: 20 };

describe.skipIf(postgresMissing() !== null)('hubs of one database', () => {
  let postgres: TestPostgres;
  let url: string;
  let fleet: FleetHubs;
  let first: FleetMember;
  beforeAll(async () => {
    postgres = await TestPostgres.start();
  });
  afterAll(() => postgres.stop());
  beforeEach(async () => {
    url = await postgres.newDatabase('kept');
    fleet = await FleetHubs.on(url);
    first = await fleet.member('first');
  });
  afterEach(async () => {
    await fleet.stop();
    postgres.giveBack(url);
  });

  const database = () => url.replace(/^.*\//, '');
  const second = async (): Promise<FleetMember> => {
    const member = await fleet.join('second', { interfaces: ['wg1'] });
    await first.start();
    await member.start();
    return member;
  };
  const order = (name: string, onto = 'wg1') => ({ name, interface: onto, publicKey: generateKeyPair().publicKey });
  /** Ends the line of a hub, as a network that fails would. */
  const cut = (hub: string) =>
    postgres.sql(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'wghub ${hub} %'`,
      database(),
    );

  describe('wghub join', () => {
    const words = () => ['--vault', fleet.at('first/vault.json'), '--name', 'second', '--driver', 'memory'];
    const where = () => ['--database-url-file', fleet.urlFile];
    const join = (...argv: string[]) => runCommand(addJoinCommand, ['join', '--data', fleet.at('second'), ...argv]);
    const keyfile = () => ['--keyfile', fleet.keyfile];
    const file = (name: string, content: string | Uint8Array): string => {
      writeFileSync(fleet.at(name), content, { mode: 0o600 });
      return fleet.at(name);
    };

    test.each<[string, () => string[], number, string]>([
      ['no database', () => [...words(), ...keyfile(), '--stand-by'], 2, 'needs the PostgreSQL database'],
      ['nothing to keep', () => [...words(), ...keyfile(), ...where()], 2, 'one of --interfaces and --stand-by'],
      [
        'an interface that is not there',
        () => [...words(), ...keyfile(), ...where(), '--interfaces', 'wg1', 'wg7'],
        2,
        '"interfaces" has wg7',
      ],
      [
        'another key file',
        () => [...words(), ...where(), '--stand-by', '--keyfile', file('other.key', systemRandom(32))],
        1,
        'does not open the vault',
      ],
      [
        'a vault that is none',
        () => ['--vault', file('v', '{}'), ...keyfile(), ...where(), '--stand-by'],
        1,
        'vault.json is not one',
      ],
    ])('refuses %s, and leaves nothing', async (_, argv, exit, text) => {
      const said = await join(...argv());
      expect(said).toMatchObject({ exit, stdout: '' });
      expect(said.stderr).toContain(text);
      expect(existsSync(fleet.at('second'))).toBe(false);
      expect(await first.events()).not.toContain('hub_joined');
    });

    test('refuses a database that the vault does not belong to', async () => {
      const other = await FleetHubs.on(await postgres.newDatabase());
      const said = await join(...words(), ...keyfile(), '--stand-by', '--database-url-file', other.urlFile);
      await other.stop();
      expect(said).toMatchObject({ exit: 3, stdout: '' });
      expect(said.stderr).toContain('the database belongs to another hub');
      expect(existsSync(fleet.at('second'))).toBe(false);
    });

    test('makes a directory with the vault and the audit key of the others, and no secret in clear', async () => {
      const tls = ['--tls-own', 'second.example'];
      const said = await join(...words(), ...keyfile(), ...where(), ...tls, '--interfaces', 'wg1');
      expect(said).toMatchObject({ exit: 0, stderr: '' });
      expect(said.stdout).toContain('wg1  reached at second.example:51821, which has to lead to this machine');
      expect(readdirSync(fleet.at('second')).sort()).toEqual(['audit.pub', 'config.json', 'tls.pem', 'vault.json']);
      for (const name of ['audit.pub', 'vault.json']) {
        expect(readFileSync(fleet.at(`second/${name}`))).toEqual(readFileSync(fleet.at(`first/${name}`)));
      }
      expect(readConfig(fleet.at('second'))).toMatchObject({ interfaces: ['wg1'], standBy: false, name: 'second' });
      expect(await first.events()).toContain('hub_joined');
      const again = await join(...words(), ...keyfile(), ...where(), '--stand-by');
      expect(again.exit).toBe(3);
    });
  });

  describe('which hub keeps an interface', () => {
    test('is refused to a second one, which names the first, builds nothing and can start once that is gone', async () => {
      const rival = await fleet.join('rival', { interfaces: ['wg0'] });
      await first.start();
      await expect(rival.start()).rejects.toMatchObject({
        code: 'interface_kept_elsewhere',
        exit: 3,
        message: 'wg0 is kept by first at 127.0.0.1, which is running',
      });
      expect(await first.shown('wg0')).toEqual([]);
      await first.stop();
      await rival.start();
      expect(await rival.shown('wg0')).toEqual([]);
    });

    test('is refused to one that would keep all of them', async () => {
      const rival = await fleet.join('rival', { interfaces: null });
      await first.start();
      await expect(rival.start()).rejects.toMatchObject({ code: 'interface_kept_elsewhere' });
    });

    test('has to be in the store', async () => {
      writeConfig(first.data.directory, fleet.config('first', { interfaces: ['wg0', 'wg9'] }));
      const odd = await fleet.member('first');
      await expect(odd.start()).rejects.toMatchObject({ code: 'interface_unknown', exit: 2, field: 'interfaces' });
    });

    test('is not held up by the same hub that lost its line just now', async () => {
      await first.start();
      for (let times = 0; times < 3; times++) {
        await cut('first');
        await vi.waitFor(async () => expect(await keepers()).toHaveLength(1), PATIENCE);
      }
      expect(await first.shown('wg0')).toEqual([]);
      expect(await first.events()).not.toContain('interface_given_up');
    });
    const keepers = () => postgres.sql("select 1 from pg_locks where locktype = 'advisory'", database());
  });

  test('a hub that cannot serve keeps nothing, and leaves no line to the database that would keep its process', async () => {
    await first.start();
    const listen = { host: '127.0.0.1', port: Number(new URL(first.url).port) };
    const rival = await fleet.join('rival', { interfaces: ['wg1'], listen });
    await expect(rival.start()).rejects.toMatchObject({ code: 'listen_failed' });
    const lines = () =>
      postgres.sql("select 1 from pg_stat_activity where application_name like 'wghub rival %'", database());
    await vi.waitFor(async () => expect(await lines()).toEqual([]), PATIENCE);
  });

  test('a line of the same hub that the database has not given up yet is no other hub', async () => {
    await first.start();
    const [line] = await postgres.sql(
      "select application_name as name from pg_stat_activity where application_name like 'wghub first %'",
      database(),
    );
    const stale = await postgres.connect(database());
    await stale.query(`set application_name = '${String(line?.name)}'`);
    const taking = stale.query(`select pg_advisory_lock(${claimNumber('wg0')})`);
    await postgres.sql(
      `select pg_terminate_backend(pid) from pg_stat_activity
        where application_name = '${String(line?.name)}' and wait_event_type is distinct from 'Lock'`,
      database(),
    );
    await taking;
    await vi.waitFor(() => expect(stale.query('select 1')).rejects.toThrow(), PATIENCE);
    expect((await first.call('GET', '/api/hub/status?interface=wg0')).status).toBe(200);
    expect(await first.events()).not.toContain('interface_given_up');
  });

  describe('a change', () => {
    test('made at one hub is on the interface of the other when it is answered', async () => {
      const there = await second();
      const made = await first.call('POST', '/api/peers', order('phone'));
      expect(made).toMatchObject({ status: 201, body: { live: true, peer: { interface: 'wg1' } } });
      const { id, publicKey } = made.body.peer;
      await vi.waitFor(async () => expect(await there.shown('wg1')).toEqual([publicKey]), PATIENCE);
      for (const [path, shown] of [
        [`/api/peers/${id}/disable`, []],
        [`/api/peers/${id}/enable`, [publicKey]],
      ] as const) {
        expect(await first.call('POST', path)).toMatchObject({ status: 200, body: { live: true } });
        await vi.waitFor(async () => expect(await there.shown('wg1')).toEqual(shown), PATIENCE);
      }
      expect(await first.call('DELETE', `/api/peers/${id}`)).toMatchObject({ status: 200, body: { live: true } });
      expect((await first.call('GET', '/api/peers')).body.peers).toEqual([]);
    });

    test('by an installer, at a hub that does not keep the interface, makes a spoke that the other shows', async () => {
      const there = await second();
      const wanted = { spokeName: 'office', interface: 'wg1', platform: 'linux' };
      const { token } = (await first.call('POST', '/api/installation/token', wanted)).body.token;
      const fetched = await fetch(`${first.url}/api/installation/script/${token}?platform=linux`);
      expect(fetched.status).toBe(200);
      const { publicKey } = generateKeyPair();
      const joined = await first.call('POST', '/api/spoke/register', { token, publicKey, os: 'debian 13' });
      expect(joined).toMatchObject({ status: 201, body: { live: true, config: { endpoint: 'second.example:51821' } } });
      await vi.waitFor(async () => expect(await there.shown('wg1')).toEqual([publicKey]), PATIENCE);
      const status = (hub: FleetMember) => hub.call('GET', `/api/spoke/${joined.body.spoke.id}/status`);
      expect((await status(there)).body).toMatchObject({ interfaceUp: true, wireguard: { rx: 0 } });
      expect((await status(first)).body).toMatchObject({ interfaceUp: null, lookedAt: null, wireguard: null });
      expect(await there.call('POST', '/api/spoke/register', { token, publicKey, os: 'debian 13' })).toMatchObject({
        status: 410,
      });
    });

    test('made while its hub does not run is not live, and is on the interface when it starts', async () => {
      const there = await fleet.join('second', { interfaces: ['wg1'] });
      await first.start();
      const made = await first.call('POST', '/api/peers', order('phone'));
      expect(made).toMatchObject({ status: 201, body: { live: false } });
      await there.start();
      expect(await there.shown('wg1')).toEqual([made.body.peer.publicKey]);
    });

    test('made by a command is told by the hub beside it, or by the command where none runs', async () => {
      const there = await second();
      for (const isRunning of [true, false]) {
        if (!isRunning) await first.stop();
        const { peers, taken } = await first.register('wg1');
        const { peer, live } = await peers.create({ name: 'phone', kind: 'device' }, COMMAND);
        expect({ isRunning, live, taken: taken() }).toEqual({ isRunning, live: true, taken: 'live' });
        await peers.remove(peer.id, COMMAND);
      }
      const { peers, taken } = await first.register('wg0');
      await peers.create({ name: 'phone', kind: 'device' }, COMMAND);
      expect(taken()).toBe('none');
      expect(await there.call('GET', '/api/health')).toMatchObject({ status: 200, body: { status: 'online' } });
    });

    test('that nobody told of is seen when the line was lost and is there again, before any look', async () => {
      const there = await fleet.join('second', { interfaces: ['wg1'], lookSeconds: 60 });
      await there.start();
      const about = { interface: 'wg1', pool: poolOf(secondInterface()), seal: there.vault, now: Date.now() };
      await first.data.store.transaction((tx) => insertPeer(tx, about, newPeer()));
      await cut('second');
      await vi.waitFor(() => expect(there.log).toMatch(/"changed":1.*interface was changed/), PATIENCE);
    });

    test('of the facts of an interface is seen in time, also when nobody told of it', async () => {
      await first.start(); // and no hub keeps wg1
      const facts = { endpoint: 'other.example:51821' };
      await first.data.store.transaction((tx) => changeInterface(tx, 'wg1', facts, systemRandom));
      await vi.waitFor(async () => {
        expect((await first.call('GET', '/api/hub/config?interface=wg1')).body).toMatchObject(facts);
      }, PATIENCE);
    });

    test('of the facts of an interface reaches every hub, whichever it was made at', async () => {
      const there = await fleet.join('second', { interfaces: ['wg1'] });
      for (const hub of [first, there]) await hub.start(NEVER_MS); // by news alone
      for (const [hub, other, endpoint] of [
        [first, there, 'one.example:51821'],
        [there, first, 'two.example:51821'],
      ] as const) {
        const changed = await hub.call('PUT', '/api/hub/config?interface=wg1', { endpoint });
        expect(changed).toMatchObject({ status: 200, body: { endpoint, live: true } });
        await vi.waitFor(async () => {
          expect((await other.call('GET', '/api/hub/config?interface=wg1')).body.endpoint).toBe(endpoint);
        }, PATIENCE);
        const made = await other.call('POST', '/api/peers', { name: 'phone', interface: 'wg1' });
        expect(made.body.config).toContain(`Endpoint = ${endpoint}`);
      }
    });

    test('of interfaces themselves is taken up by all of them', async () => {
      const there = await second();
      const command = (...argv: string[]) =>
        runCommand(addInterfaceCommand, ['interface', ...argv, '--data', fleet.at('first')]);
      const facts = ['--network', '10.0.9.0/24', '--endpoint', 'hub.example:51829', '--keyfile', fleet.keyfile];
      const added = await command('add', 'wg9', ...facts);
      expect(added).toMatchObject({ exit: 0 });
      expect(added.stdout).toContain('no hub that is to keep it runs');
      for (const hub of [first, there]) {
        await vi.waitFor(async () => {
          expect((await hub.call('GET', '/api/hub/config?interface=wg9')).status).toBe(200);
        }, PATIENCE);
      }
      expect(await command('remove', 'wg9')).toMatchObject({ exit: 0 });
      for (const hub of [first, there]) {
        await vi.waitFor(async () => {
          expect((await hub.call('GET', '/api/hub/config?interface=wg9')).status).toBe(404);
        }, PATIENCE);
      }
    });
  });

  test('who logs in at one hub is known to the others, until logging out at any of them', async () => {
    const other = await second();
    const passwordHash = await hashPassword('CANARY a long password', systemRandom);
    const secret = await first.data.store.transaction((tx) =>
      addAccount(tx, first.vault, { name: 'ann', role: 'viewer', passwordHash }, COMMAND, Date.now(), systemRandom),
    );
    const ask = (hub: FleetMember, method: string, path: string, more: { token?: string; body?: object } = {}) => {
      const headers = { 'Content-Type': 'application/json', Authorization: `Bearer ${more.token ?? ''}` };
      return fetch(`${hub.url}${path}`, { method, headers, ...(more.body && { body: JSON.stringify(more.body) }) });
    };
    const code = totpCode(totpSecretBytes(secret), totpStep(Date.now()));
    const body = { name: 'ann', password: 'CANARY a long password', code };
    const { token } = (await (await ask(first, 'POST', '/api/login', { body })).json()) as { token: string };
    expect((await ask(other, 'POST', '/api/login', { body })).status).toBe(401); // a code is good once, wherever
    for (const hub of [other, first]) {
      const who = await ask(hub, 'GET', '/api/session', { token });
      expect(await who.json()).toMatchObject({ actor: 'account:ann', role: 'viewer' });
      expect((await ask(hub, 'GET', '/api/session', { token: `${token.slice(0, -1)}A` })).status).toBe(401);
    }
    expect((await ask(other, 'POST', '/api/logout', { token })).status).toBe(204);
    expect((await ask(first, 'GET', '/api/session', { token })).status).toBe(401);
  });

  test('what only the keeper of an interface knows is refused by the others', async () => {
    const there = await second();
    await first.call('POST', '/api/peers', order('phone'));
    for (const path of ['/api/hub/status?interface=wg1', '/api/list-peers?interface=wg1']) {
      expect(await first.call('GET', path)).toMatchObject({
        status: 421,
        body: { code: 'INTERFACE_ELSEWHERE', recoveryHint: expect.stringContaining('ask the hub that keeps it') },
      });
      expect((await there.call('GET', path)).status).toBe(200);
    }
    const info = async () => (await first.call('GET', '/api/server-info?interface=wg1')).body;
    expect(await info()).toMatchObject({ interface: 'wg1', status: 'online', free_addresses: 508 });
    await there.stop();
    expect((await info()).status).toBe('degraded');
    expect(await first.call('GET', '/api/health')).toMatchObject({ status: 200 });
  });

  test('status and doctor say who keeps an interface, and that nobody does', async () => {
    const there = await second();
    const status = () => runCommand(addStatusCommand, ['status', '--data', fleet.at('first')]);
    const doctor = async () => {
      const { stdout } = await runCommand(addDoctorCommand, ['doctor', '--data', fleet.at('first'), '--json']);
      const { findings } = JSON.parse(stdout) as { findings: { interface: string | null; check: string }[] };
      return findings.filter((one) => one.interface === 'wg1');
    };
    expect((await status()).stdout).toMatch(/^wg1 {2}kept by second at 127\.0\.0\.1$/m);
    expect((await status()).stdout).toMatch(/^wg0$/m);
    expect(await doctor()).toMatchObject([{ check: 'keeper', verdict: 'ok' }]);
    await there.stop();
    expect((await status()).stdout).toMatch(/^wg1 {2}kept by no hub that runs$/m);
    expect(await doctor()).toMatchObject([{ check: 'keeper', verdict: 'fault' }]);
  });

  test('a backup by any of them is of the whole database, and what was another’s is told when it is restored', async () => {
    const there = await second();
    await first.call('POST', '/api/peers', order('phone'));
    const backupKey = ['--backup-keyfile', fleet.keyfile];
    const out = fleet.at('one.backup');
    const made = await runCommand(addBackupCommand, [
      'backup',
      '--data',
      fleet.at('second'),
      '--out',
      out,
      ...backupKey,
    ]);
    expect(made.stdout).toContain('read back whole: 1 peers');
    await there.stop();
    const argv = ['restore', '--from', out, '--data', fleet.at('restored'), ...backupKey];
    const restored = await runCommand(addRestoreCommand, argv);
    expect(restored).toMatchObject({ exit: 0 });
    expect(restored.stdout).toContain('5. It keeps wg1 alone, as it did. What keeps wg0 is made anew by wghub join');
    expect(readConfig(fleet.at('restored'))).toMatchObject({ database: null, interfaces: ['wg1'] });
  });

  test('a call that names no interface is for the first that the hub keeps itself', async () => {
    const there = await second();
    const made = await there.call('POST', '/api/peers', { name: 'phone' });
    expect(made.body.peer.interface).toBe('wg1');
    expect((await first.call('POST', '/api/peers', { name: 'phone' })).body.peer.interface).toBe('wg0');
  });

  test('two hubs that make 200 peers each at once give no address twice, and the log is whole', async () => {
    const there = await second();
    const made = await Promise.all(
      [first, there].flatMap((hub, at) =>
        Array.from({ length: 200 }, (_, number) => hub.call('POST', '/api/peers', order(`${at}-${number}`))),
      ),
    );
    expect(made.filter(({ status, body }) => status !== 201 || body.live !== true)).toEqual([]);
    const addresses = made.map(({ body }) => body.peer.addresses[0] as string);
    expect(new Set(addresses).size).toBe(400);
    await vi.waitFor(async () => expect(await there.shown('wg1')).toHaveLength(400), PATIENCE);
    expect((await first.events()).filter((event) => event === 'peer_created')).toHaveLength(400);
  }, 60_000);

  describe('a hub that stands by', () => {
    const waiting = async (): Promise<FleetMember> => {
      const member = await fleet.join('waiting', { interfaces: ['wg0'], standBy: true });
      await first.start();
      await member.start();
      return member;
    };
    const statusOf = async (hub: FleetMember) => (await hub.call('GET', '/api/hub/status?interface=wg0')).status;
    const keeps = (hub: FleetMember) => vi.waitFor(async () => expect(await statusOf(hub)).toBe(200), PATIENCE);

    test('serves, takes over with every peer when the first is gone, and the first waits when it is back', async () => {
      const member = await waiting();
      expect([await statusOf(first), await statusOf(member)]).toEqual([200, 421]);
      const made = await member.call('POST', '/api/peers', order('phone', 'wg0'));
      expect(made.body.live).toBe(true);
      await first.stop();
      await keeps(member);
      expect(await member.shown('wg0')).toEqual([made.body.peer.publicKey]);
      expect(await member.events()).toContain('interface_taken_over');
      writeConfig(first.data.directory, fleet.config('first', { interfaces: ['wg0'], standBy: true }));
      const back = await fleet.member('first');
      await back.start();
      expect([await statusOf(back), await statusOf(member)]).toEqual([421, 200]);
    });

    test('takes nothing at once that is free, whatever it hears of it', async () => {
      const member = await fleet.join('waiting', { interfaces: ['wg0'], standBy: true });
      await first.start();
      await member.start(NEVER_MS);
      await first.stop();
      const changed = await member.call('PUT', '/api/hub/config?interface=wg0', { keepalive: 7 });
      expect(changed).toMatchObject({ status: 200, body: { keepalive: 7, live: false } });
      const { peers } = await first.register('wg0');
      await peers.create({ name: 'phone', kind: 'device' }, COMMAND);
      await first.tell('wg0');
      expect(await statusOf(member)).toBe(421);
    });

    test('does not take over from a hub that only lost its line for a moment', async () => {
      const member = await waiting();
      for (let times = 0; times < 3; times++) {
        await cut('first');
        await vi.waitFor(async () => expect(await statusOf(first)).toBe(200), PATIENCE);
      }
      expect([await statusOf(first), await statusOf(member)]).toEqual([200, 421]);
      expect(await first.events()).not.toContain('interface_taken_over');
    });

    test('is stepped back for: who lost the line for longer gives the interface up, and says so', async () => {
      await first.start();
      // another hub has it, from the moment in which the line is gone
      const other = await postgres.connect(database());
      const taking = other.query(`select pg_advisory_lock(${claimNumber('wg0')})`);
      await cut('first');
      await taking;
      await vi.waitFor(async () => expect(await statusOf(first)).toBe(421), PATIENCE);
      expect(first.log).toContain('interface was given up, another hub has taken it');
      expect(await first.events()).toContain('interface_given_up');
      await other.end();
      await keeps(first); // nobody has it any more
    });
  });

  test('a database that is started anew ends nothing, and every hub goes on with its own', async () => {
    const there = await second();
    await first.call('POST', '/api/peers', order('before'));
    await postgres.kill();
    await postgres.resume();
    await vi.waitFor(async () => {
      const made = await first.call('POST', '/api/peers', order('after'));
      expect(made).toMatchObject({ status: 201, body: { live: true } });
    }, PATIENCE);
    await vi.waitFor(async () => {
      const stored = await first.call('GET', '/api/peers?interface=wg1');
      expect(await there.shown('wg1')).toHaveLength(stored.body.peers.length);
    }, PATIENCE);
    const events = await first.events();
    for (const event of ['interface_given_up', 'interface_taken_over']) expect(events).not.toContain(event);
  });
});

test('wghub init refuses to keep an interface that it does not make', async () => {
  const argv = ['--data', '/nonexistent/hub', '--endpoint', 'hub.example:51820', '--interfaces', 'wg1'];
  const said = await runCommand(addInitCommand, ['init', ...argv]);
  expect(said).toMatchObject({ exit: 2, stdout: '' });
  expect(said.stderr).toContain('"interfaces" has wg1');
});

import { afterEach, describe, expect, test } from 'vitest';
import type { WireGuardAgreement } from '../../../patcher/setup/agreement.ts';
import type { SetupStep } from '../../../patcher/setup/setup-step.ts';
import { type WireGuardContext, wireguardStep } from '../../../patcher/setup/steps/wireguard-step.ts';
import { answers } from '../../harness/hub-network.ts';
import { DISTRIBUTIONS } from '../../harness/installer-stand-ins.ts';
import { type PairPlace, PairScene, type PairShape, pairObstacle } from '../../wireguard/pair/pair-scene.ts';
import { CRON_TABLE, UFW } from '../../wireguard/pair/pair-stand-ins.ts';

const obstacle = pairObstacle();
const isThorough = process.env.LATCHKEY_THOROUGH === '1';
const CONF = '/etc/wireguard/latchkey.conf';
const DRAFT = '/etc/wireguard/latchkey.draft';
const KEEPER = '/usr/local/lib/latchkey/keep-latchkey';
const TOOLS = ['wireguard-tools', 'wireguard-go'];
const AGREED: WireGuardAgreement = {
  interface: 'latchkey',
  network: '10.71.203.0/30',
  homeAddress: '10.71.203.1',
  serverAddress: '10.71.203.2',
  dials: 'home',
  endpoint: { host: '10.205.0.2', port: 51820 },
};

describe.skipIf(obstacle !== null)(`wireguardStep()${obstacle === null ? '' : ` (${obstacle})`}`, () => {
  let scene: PairScene;
  let step: SetupStep;
  afterEach(() => scene.end());

  async function make(shape: PairShape = {}): Promise<void> {
    scene = await PairScene.build(shape);
    step = stepOf({});
  }

  /** The step anew, as the next run has it. */
  function stepOf(agreed: Partial<WireGuardAgreement>, home = scene.home, server = scene.server): SetupStep {
    const keyServer = { listen: { host: '10.71.203.1', port: 8443 } } as WireGuardContext['agreed']['keyServer'];
    return wireguardStep(
      {
        home: { transport: home.transport, platform: home.platform, keyserver: ['keyserver'] },
        server: server.transport,
        progress: { step: () => undefined, note: () => undefined },
        agreed: { wireguard: { ...AGREED, ...agreed }, keyServer },
      },
      agreed.endpoint === undefined ? 20 : 2,
    );
  }

  const hearEachOther = async (): Promise<boolean[]> =>
    Promise.all([
      answers(scene.home.machine.machine, AGREED.serverAddress),
      answers(scene.server.machine.machine, AGREED.homeAddress),
    ]);
  const privateKeyOf = (place: PairPlace): string =>
    /^PrivateKey = (.{43}=)$/m.exec(place.machine.read(CONF) ?? '')?.[1] ?? '';

  test('makes a tunnel out of a home behind a router, changes nothing when it is there, and takes it away', async () => {
    await make({ without: TOOLS });
    const before = await scene.state();
    expect(await step.look()).toEqual({ state: 'missing' });
    expect(await step.plan()).toEqual([
      'at home: install wireguard-tools, by its package manager',
      'at home: make a key for WireGuard, which stays there',
      `at home: write ${CONF}: 10.71.203.1, dials 10.205.0.2:51820`,
      'at home: let 10.71.203.2 reach TCP 8443 and nothing else through the tunnel (nft)',
      'at home: start latchkey',
      'at home: have it started with the machine (systemd)',
      'at home: have it looked after each minute (systemd)',
      'on the server: install wireguard-tools, by its package manager',
      'on the server: make a key for WireGuard, which stays there',
      `on the server: write ${CONF}: 10.71.203.2, dialled at UDP 51820`,
      'on the server: start latchkey',
      'on the server: have it started with the machine (systemd)',
      'on the server: have it looked after each minute (systemd)',
    ]);
    expect(await step.planRemoval()).toEqual([]);
    expect(await scene.state()).toEqual(before);

    expect(await step.carryOut()).toEqual(['latchkey: 10.71.203.1 at home, 10.71.203.2 on the server']);
    expect(await hearEachOther()).toEqual([true, true]);
    expect(await step.look()).toMatchObject({ state: 'done' });
    expect(await step.plan()).toEqual([]);

    // each end has a key of its own, which nothing that came over the line has in it
    const keys = [privateKeyOf(scene.home), privateKeyOf(scene.server)];
    expect(new Set(keys).size).toBe(2);
    for (const key of keys) {
      expect(key).toMatch(/^.{43}=$/);
      for (const form of [key, Buffer.from(key, 'base64'), Buffer.from(key, 'base64').toString('hex')]) {
        for (const { carried } of [scene.home, scene.server]) {
          expect(carried.some((piece) => piece.includes(form))).toBe(false);
        }
      }
    }
    for (const { machine } of [scene.home, scene.server]) {
      expect(await machine.command('stat', '-c', '%a %U:%G', '/etc/wireguard', CONF)).toBe(
        '700 root:root\n600 root:root\n',
      );
      expect(machine.read(DRAFT)).toBe(null);
      expect(machine.read(CONF)).not.toMatch(/SaveConfig|DNS|PostUp/);
    }
    const settings = (place: PairPlace): string[] =>
      (place.machine.read(CONF) ?? '').split('\n').filter((line) => /^(Add|List|Allow|End|Pers)/.test(line));
    expect(settings(scene.home)).toEqual([
      'Address = 10.71.203.1/30',
      'AllowedIPs = 10.71.203.2/32',
      'Endpoint = 10.205.0.2:51820',
      'PersistentKeepalive = 25',
    ]);
    expect(settings(scene.server)).toEqual([
      'Address = 10.71.203.2/30',
      'ListenPort = 51820',
      'AllowedIPs = 10.71.203.1/32',
    ]);

    const after = await scene.state();
    for (const { machine } of [scene.home, scene.server]) machine.takeCalls();
    await step.carryOut();
    expect(await step.undo()).toEqual([]);
    expect(await scene.state()).toEqual(after);
    for (const { machine } of [scene.home, scene.server]) expect(machine.takeCalls()).toEqual([]);

    expect(await step.planRemoval()).toHaveLength(2);
    expect(await step.takeAway({ purge: false })).toEqual(
      ['home', 'server'].map(
        (name) => `${name}: packages that were installed for it: libstandin0 wireguard-go wireguard-tools`,
      ),
    );
    const away = await scene.state();
    expect(away.flat().filter((line) => /latchkey|keep-/.test(line))).toEqual([]);
    expect(await step.takeAway({ purge: false })).toEqual([]);
    expect(await scene.state()).toEqual(away);
  });

  test('is looked after by cron where there is no systemd, and says where nothing starts it', async () => {
    await make({ home: DISTRIBUTIONS.alpine, server: DISTRIBUTIONS.container, shell: 'ash' });
    scene.home.machine.program('crond', '#!/bin/sh\n');
    scene.home.machine.program('crontab', CRON_TABLE);
    scene.home.machine.remove('/etc/cron.d');
    scene.home.machine.write('/run/stand-in/crontab', '0 3 * * * true\n');
    const before = await scene.state();
    expect(await step.carryOut()).toEqual([
      'latchkey: 10.71.203.1 at home, 10.71.203.2 on the server',
      'server has neither systemd nor cron: nothing looks after the tunnel there, and nothing starts it with the machine',
    ]);
    expect(scene.home.machine.read('/run/stand-in/crontab')).toBe(
      `0 3 * * * true\n* * * * * /bin/sh ${KEEPER} >/dev/null 2>&1 # latchkey-keep-latchkey\n`,
    );
    expect(await step.look()).toMatchObject({ state: 'done' });
    expect(await hearEachOther()).toEqual([true, true]);
    await step.takeAway({ purge: false });
    expect(await scene.state()).toEqual(before);
    expect(scene.home.machine.read('/run/stand-in/crontab')).toBe('0 3 * * * true\n');
  });

  test('has a Mac at home', async () => {
    await make({ home: { tools: '/opt/homebrew' }, shell: 'bash' });
    const before = await scene.state();
    expect(await step.look()).toEqual({ state: 'missing' });
    await step.carryOut();
    expect(await hearEachOther()).toEqual([true, true]);
    expect(await step.look()).toMatchObject({ state: 'done' });
    if (isThorough) {
      const after = await scene.state();
      await step.carryOut();
      expect(await scene.state()).toEqual(after);
      const { machine } = scene.home;
      await machine.command('sh', '-c', 'rm /run/wireguard/*.sock');
      await expect.poll(() => machine.machine.processes('wireguard-go'), { timeout: 10_000 }).toEqual([]);
      // as launchd runs it, but for where this system has launchctl
      await machine.command('sh', '-c', 'ln -s /run/stand-in/mac/launchctl /usr/local/bin/');
      await machine.command('sh', '/etc/wireguard/latchkey.keep');
      await expect.poll(hearEachOther, { timeout: 20_000, interval: 500 }).toEqual([true, true]);
      machine.remove('/usr/local/bin/launchctl');
    }
    expect(await step.takeAway({ purge: false })).toEqual([]);
    expect(await scene.state()).toEqual(before);
  });

  test('is dialled at home, through the firewall there, which lets in nothing else and is as before at the end', async () => {
    await make();
    const [home, server] = [scene.server, scene.home];
    home.machine.program('ufw', UFW);
    home.machine.write('/run/stand-in/ufw', 'ufw allow 22/tcp\n');
    const dialled = { dials: 'server', endpoint: { host: '10.205.0.2', port: 51820 } } as const;
    step = stepOf(dialled, home, server);
    const before = await scene.state();
    expect(await step.plan()).toEqual(
      expect.arrayContaining(['at home: let UDP 51820 in (ufw)', 'at home: let TCP 8443 in from 10.71.203.2 (ufw)']),
    );
    await step.carryOut();
    const opened = [
      'ufw allow 22/tcp',
      'ufw allow 51820/udp',
      'ufw allow in on latchkey from 10.71.203.2 to any port 8443 proto tcp',
    ];
    expect(home.machine.read('/run/stand-in/ufw')).toBe(`${opened.join('\n')}\n`);
    await step.carryOut();
    expect(home.machine.read('/run/stand-in/ufw')).toBe(`${opened.join('\n')}\n`);
    // its address may change, of which it tells the server by what it sends
    expect(home.machine.read(CONF)).toContain('\nPersistentKeepalive = 25\n');
    await step.takeAway({ purge: false });
    expect(home.machine.read('/run/stand-in/ufw')).toBe('ufw allow 22/tcp\n');
    expect(await scene.state()).toEqual(before);
  });

  test('says which port is to be let in where UDP does not get through, and takes back what it began', async () => {
    await make({ without: TOOLS });
    const before = await scene.state();
    await scene.blockUdp();
    step = stepOf({ endpoint: AGREED.endpoint });
    await expect(step.carryOut()).rejects.toMatchObject({
      code: 'wireguard_silent',
      message: expect.stringContaining('UDP from the machine at home to 10.205.0.2:51820'),
      hint: expect.stringMatching(/let UDP port 51820 in .* "transport": "ssh"$/),
    });
    expect(await step.undo()).toEqual([]);
    expect(await scene.state()).toEqual(before);
  });

  test('goes on where a run was cut off, and tells by looking what to take back', async () => {
    await make();
    const before = await scene.state();
    const { machine } = scene.home;
    // home lost its power when it was about to be brought up
    machine.hangAt('systemctl restart wg-quick*');
    const cut = step.carryOut().then(
      () => 'carried out',
      () => 'cut off',
    );
    await expect.poll(() => machine.hangs(), { timeout: 20_000, interval: 50 }).toBe(true);
    for (const pid of machine.machine.processes()) process.kill(pid, 'SIGKILL');
    expect(await cut).toBe('cut off');
    machine.hangAt();
    machine.remove('/run/latchkey-installer');
    const begun = machine.read(DRAFT);
    expect(begun).toContain('PrivateKey = ');

    step = stepOf({});
    expect(await step.look()).toEqual({ state: 'missing' });
    await step.carryOut();
    expect(await hearEachOther()).toEqual([true, true]);
    const key = privateKeyOf(scene.home);
    expect([machine.read(DRAFT), begun?.includes(key)]).toEqual([null, true]);
    // all that was left is a folder for what no longer matters, with nothing secret in it
    expect(await machine.command('sh', '-c', `grep -rlF '${key}' /tmp /etc; rm -r /tmp/latchkey.*`)).toBe(`${CONF}\n`);
    // what was whole before a run is not taken back with it
    const after = await scene.state();
    await step.undo();
    expect(await scene.state()).toEqual(after);
    await step.takeAway({ purge: false });
    expect(await scene.state()).toEqual(before);
  });

  describe('refuses, and changes nothing,', () => {
    const refused = async (code: string): Promise<void> => {
      const before = await scene.state();
      expect(await step.look()).toMatchObject({ state: 'impossible', code: 'pair_conf_foreign' });
      await expect(step.carryOut()).rejects.toMatchObject({ code, exit: 3, field: 'wireguard.interface' });
      expect(await step.takeAway({ purge: true })).toEqual([]);
      expect(await scene.state()).toEqual(before);
    };

    test('where something of another has the name', async () => {
      await make();
      const { machine } = scene.home;
      machine.write(CONF, '[Interface]\nPrivateKey = of another\n', 0o600);
      await refused('pair_conf_foreign');
      // of another pair, too
      machine.write(CONF, '# pair 10.71.203.4/30, by Latchkey\n[Interface]\n', 0o600);
      await refused('pair_conf_foreign');
      machine.remove(CONF);
      await machine.command('ln', '-s', '/etc/passwd', CONF);
      await refused('pair_conf_foreign');
      machine.remove(CONF);
      await machine.command('ip', 'link', 'add', 'latchkey', 'type', 'bridge');
      await refused('pair_interface_foreign');
    });

    test.runIf(isThorough)('where a Mac has it elsewhere', async () => {
      await make({ home: { tools: '/opt/homebrew' } });
      for (const path of ['/opt/homebrew/etc/wireguard', '/usr/local/etc/wireguard']) {
        scene.home.machine.write(`${path}/latchkey.conf`, 'of another\n');
        const before = await scene.state();
        await expect(step.carryOut()).rejects.toMatchObject({ code: 'pair_conf_foreign', exit: 3 });
        expect(await scene.state()).toEqual(before);
        scene.home.machine.remove(path);
      }
    });
  });
});

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SetupContext, SetupStep } from '../../../patcher/setup/setup-step.ts';
import { lookAtTunnel, removeTunnel, type TunnelEnds } from '../../../patcher/setup/ssh-tunnel/ssh-tunnel.ts';
import { sshTunnelStep } from '../../../patcher/setup/steps/ssh-tunnel-step.ts';
import type { Transport } from '../../../patcher/transports/transport.ts';
import { wholeMachineObstacle } from '../../harness/whole-machine.ts';
import { agreedOn } from './key-server-world.ts';
import { SshTunnelWorld, until } from './ssh-tunnel-world.ts';

const isThorough = process.env.LATCHKEY_THOROUGH === '1';
const ANSWER = 'the machine at home';
/** As its owner sets it up: what comes to the router on this port goes to the machine at home. */
const PASSED_ON = `
table ip passed {
  chain in { type nat hook prerouting priority -100; iifname "isp" tcp dport 2022 dnat to 192.168.77.2:22; }
}
insert rule ip router forward ct status dnat accept
`;

describe.skipIf(wholeMachineObstacle() !== null)('an SSH tunnel', () => {
  let world: SshTunnelWorld;
  let bare: ReturnType<SshTunnelWorld['files']>;

  beforeAll(async () => {
    world = await SshTunnelWorld.build();
    await world.network.router.run('sh', '-c', `nft -f - <<'end'\n${PASSED_ON}\nend`);
    bare = world.files();
  }, 90_000);
  afterAll(async () => expect(await world?.end()).toEqual([]), 30_000);

  describe('as a step of a setup', () => {
    const step = (files: Transport = world.ends.server): SetupStep => {
      const endpoint = { host: world.server.address, port: 22 };
      const sshTunnel = { dials: 'home', endpoint, account: 'latchkey-tunnel', listen: 8443 } as const;
      return sshTunnelStep({
        config: { client: 'cloud' },
        memory: { instanceId: 'oc1234567890' },
        agreed: { ...agreedOn({}), sshTunnel },
        home: { transport: world.ends.home, platform: 'linux', keyserver: ['keyserver'] },
        server: world.ends.server,
        nextcloud: { instance: { files, machine: world.ends.server } },
      } as unknown as SetupContext);
    };

    it('is impossible where Nextcloud is in a container with a network of its own', async () => {
      // any network but the server's
      expect(await step(world.ends.home).look()).toMatchObject({
        state: 'impossible',
        code: 'tunnel_outside_container',
        hint: expect.stringContaining('wireguard'),
      });
      expect(await step().look()).toEqual({ state: 'missing' });
    });

    it('says what it would do on which machine, and changes nothing by that', async () => {
      expect(await step().plan()).toEqual([
        'at home: an account latchkey-tunnel, without a password or a shell',
        'on the server: the same',
        expect.stringMatching(/^at home: a key pair in \/etc\/latchkey-tunnel\/dials\/cloud;/),
        expect.stringMatching(/^on the server: \/etc\/latchkey-tunnel\/logins\/latchkey-tunnel\/authorized_keys /),
        expect.stringMatching(/^on the server: \/etc\/ssh\/sshd_config\.d\/05-latchkey-tunnel\.conf /),
        expect.stringMatching(
          /^at home: \/etc\/systemd\/system\/latchkey-tunnel-cloud\.service keeps ssh to 198\.51\.100\.10 /,
        ),
      ]);
      expect(await step().planRemoval()).toEqual([]);
      expect(world.files()).toEqual(bare);
    });

    it('does it, finds it done, and takes it away, twice as once', async () => {
      expect(await step().carryOut()).toEqual([
        'port 8443 of the server, on loopback, leads to 127.0.0.1:8443 at home',
        'the key was made on the machine at home, and stays there',
      ]);
      await until(async () => (await world.heardOnServer()) === 'the machine at home');
      expect(await step().look()).toMatchObject({ state: 'done' });
      expect(await step().undo()).toEqual([]);
      expect(await step().look()).toMatchObject({ state: 'done' });
      expect(await step().planRemoval()).toHaveLength(6);
      expect(await step().takeAway({ purge: false })).toEqual([]);
      expect(await step().planRemoval()).toEqual([]);
      expect(await step().takeAway({ purge: false })).toEqual([]);
      expect(world.files()).toEqual(bare);
    }, 60_000);
  });

  describe.runIf(isThorough)('that the server lays to a machine at home', () => {
    const toHome = (name: string, listen: number): TunnelEnds => {
      const endpoint = { host: world.network.homeAddress, port: 2022 };
      return world.endsOf({ name, listen, dials: 'server', endpoint });
    };

    beforeAll(async () => {
      await world.lay(toHome('cloud', 8443));
      await world.lay(toHome('other', 8444));
    }, 90_000);

    it('leads there, beside another one to the same account', async () => {
      for (const port of [8443, 8444]) await until(async () => (await world.heardOnServer(port)) === ANSWER);
      for (const [name, port] of [
        ['cloud', 8443],
        ['other', 8444],
      ] as const) {
        expect((await lookAtTunnel(toHome(name, port))).whole).toBe(true);
      }
    });

    it('has a key that reaches nothing else at home, and opens nothing there', async () => {
      const folder = '/etc/latchkey-tunnel/dials/cloud';
      const trust = `-o UserKnownHostsFile=${folder}/known_hosts -o HostKeyAlias=latchkey-cloud -o BatchMode=yes`;
      const ssh = `ssh -F /dev/null -i ${folder}/key ${trust} -p 2022 -l latchkey-tunnel ${world.network.homeAddress}`;
      const through = await world.server.run(['sh', '-c', `${ssh} -W 127.0.0.1:22 </dev/null`]);
      expect(through.stderr).toContain('administratively prohibited');
      expect(through.stdout.toString('utf8')).toBe('');
      const back = `${ssh} -N -o ExitOnForwardFailure=yes -R 127.0.0.1:9443:127.0.0.1:22`;
      expect((await world.server.run(['sh', '-c', back])).stderr).toContain('forwarding failed');
      expect((await world.server.run(['sh', '-c', `${ssh} id`])).stdout.toString('utf8')).toBe('');
    });

    it('does not go with another one, and leaves nothing when both are gone', async () => {
      await removeTunnel(toHome('other', 8444), 'all');
      expect(await world.heardOnServer(8444)).toBe('');
      await until(async () => (await world.heardOnServer()) === ANSWER);
      await removeTunnel(toHome('cloud', 8443), 'all');
      expect(world.files()).toEqual(bare);
      for (const machine of [world.home, world.server]) expect(await machine.tries('id latchkey-tunnel')).toBe(false);
    }, 60_000);
  });

  describe.runIf(isThorough)('that only cron could keep up', () => {
    const FILE = '/etc/cron.d/latchkey-tunnel-cloud';
    /** As cron would start it, each minute. */
    const minute = (): Promise<string> =>
      world.home.sh(
        `runuser -u latchkey-tunnel -- sh -c "setsid $(sed -n 's/^[*] [*] [*] [*] [*] latchkey-tunnel //p' ${FILE}) &"`,
      );
    const ssh = (): Promise<string> => world.home.sh('pgrep -u latchkey-tunnel -x ssh || true');

    beforeAll(() => world.home.sh('mv /run/systemd/system /run/systemd/system.away'));
    afterAll(() => world.home.sh('mv /run/systemd/system.away /run/systemd/system'));

    it('is started at once, and again whenever it has ended, but never twice', async () => {
      await world.lay(world.endsOf());
      await until(async () => (await world.heardOnServer()) === ANSWER);
      const first = await ssh();
      expect(first).toMatch(/^\d+\n$/);
      await minute();
      expect(await ssh()).toBe(first);
      await world.home.sh(`kill ${first}`);
      await until(async () => (await world.heardOnServer()) === ANSWER && (await ssh()) !== first);
      await world.home.sh('pkill -u latchkey-tunnel');
      await until(async () => (await ssh()) === '');
      expect((await lookAtTunnel(world.endsOf())).whole).toBe(false);
      await minute();
      await until(async () => (await world.heardOnServer()) === ANSWER);
      expect((await lookAtTunnel(world.endsOf())).whole).toBe(true);
      await world.lay(world.endsOf());
      await removeTunnel(world.endsOf(), 'all');
      expect(await ssh()).toBe('');
      expect(world.files()).toEqual(bare);
    }, 90_000);
  });

  it.runIf(isThorough)(
    'that was cut off at any step is undone, and is laid by the next run',
    async () => {
      let calls = 0;
      let last = Number.POSITIVE_INFINITY;
      const cut = (transport: Transport): Transport =>
        new Proxy(transport, {
          get: (target, name) =>
            name !== 'run'
              ? Reflect.get(target, name)
              : (...words: Parameters<Transport['run']>) => {
                  calls += 1;
                  return calls > last ? Promise.reject(new Error('cut')) : target.run(...words);
                },
        });
      const plan = world.plan();
      const ends = { plan, home: cut(world.ends.home), server: cut(world.ends.server) };
      for (last = 4; ; last += 1) {
        calls = 0;
        const isLaid = await world.lay(ends).then(
          () => true,
          () => false,
        );
        if (isLaid) break;
        if (last % 2 === 0) {
          await removeTunnel(world.endsOf(), 'unfinished');
          // what was ended on both sides was not begun any more
          if (calls < 10) expect(world.files()).toEqual(bare);
        }
      }
      expect(last).toBeGreaterThan(9);
      expect((await lookAtTunnel(world.endsOf())).whole).toBe(true);
      await removeTunnel(world.endsOf(), 'all');
      expect(world.files()).toEqual(bare);
    },
    180_000,
  );
});

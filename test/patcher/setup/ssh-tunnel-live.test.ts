import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tunnelObstacle } from '../../../patcher/setup/ssh-tunnel/obstacles.ts';
import { lookAtTunnel, removeTunnel } from '../../../patcher/setup/ssh-tunnel/ssh-tunnel.ts';
import { describeTunnelRemoval } from '../../../patcher/setup/ssh-tunnel/tunnel-words.ts';
import { run } from '../../../platform/run.ts';
import type { Argv } from '../../harness/background-process.ts';
import { wholeMachineObstacle } from '../../harness/whole-machine.ts';
import { SshTunnelWorld, until } from './ssh-tunnel-world.ts';

const isThorough = process.env.LATCHKEY_THOROUGH === '1';
const FOLDER = '/etc/latchkey-tunnel';
const DROP_IN = '/etc/ssh/sshd_config.d/05-latchkey-tunnel.conf';
const UNIT = '/etc/systemd/system/latchkey-tunnel-cloud.service';
const ANSWER = 'the machine at home';
const LISTENER = 'systemd-run -q --unit=other systemd-socket-activate --listen=127.0.0.1:8443 cat';

/** What is in the way: which machine, how it comes to be there and goes again, and what the refusal is called. */
const IN_THE_WAY = [
  [
    'an account of somebody else',
    'account_taken',
    'server',
    'useradd -r -M latchkey-tunnel',
    'userdel latchkey-tunnel',
  ],
  ['a group of somebody else', 'account_taken', 'home', 'groupadd latchkey-tunnel', 'groupdel latchkey-tunnel'],
  ['an addition to sshd of somebody else', 'tunnel_foreign', 'server', `echo '#' >${DROP_IN}`, `rm ${DROP_IN}`],
  ['a link in place of it', 'tunnel_foreign', 'server', `ln -s /nowhere ${DROP_IN}`, `rm ${DROP_IN}`],
  ['a unit of somebody else', 'tunnel_foreign', 'home', `echo '#' >${UNIT}`, `rm ${UNIT}`],
  [
    'an sshd that reads no additions',
    'sshd_no_dropins',
    'server',
    "sed -i 's/^Include/#Include/' /etc/ssh/sshd_config",
    "sed -i 's/^#Include/Include/' /etc/ssh/sshd_config",
  ],
  [
    'a program that listens on the port',
    'listen_taken',
    'server',
    `${LISTENER}; until ss -ltn | grep -q :8443; do sleep 0.1; done`,
    'systemctl stop other.service',
  ],
] as const;

describe.skipIf(wholeMachineObstacle() !== null)('an SSH tunnel that home lays', () => {
  let world: SshTunnelWorld;
  let bare: ReturnType<SshTunnelWorld['files']>;

  beforeAll(async () => {
    world = await SshTunnelWorld.build();
    bare = world.files();
  }, 90_000);
  afterAll(async () => expect(await world?.end()).toEqual([]), 30_000);

  it.each(IN_THE_WAY)('is refused, with nothing changed, where there is %s', async (_, code, name, before, after) => {
    await world[name].sh(before);
    try {
      const ends = world.endsOf();
      expect(tunnelObstacle(await lookAtTunnel(ends), ends.plan)?.code).toBe(code);
    } finally {
      await world[name].sh(after);
    }
    expect(world.files()).toEqual(bare);
  });

  it('leaves nothing where another machine answers in place of the server', async () => {
    const other = '/usr/sbin/sshd -f /dev/null -o Port=2222 -o PidFile=/tmp/other.pid -h /tmp/other';
    await world.home.sh(`ssh-keygen -q -t ed25519 -N '' -f /tmp/other && ${other}`);
    const ends = world.endsOf({ endpoint: { host: '127.0.0.1', port: 2222 } });
    await expect(world.lay(ends)).rejects.toMatchObject({ code: 'tunnel_other_host', exit: 3 });
    await removeTunnel(ends, 'unfinished');
    await world.home.sh('kill "$(cat /tmp/other.pid)"; rm -f /tmp/other*');
    expect(world.files()).toEqual(bare);
  });

  it('leaves sshd as it was where something that it reads before says otherwise', async () => {
    const path = '/etc/ssh/sshd_config.d/01-first.conf';
    await world.server.sh(`printf 'Match User latchkey-tunnel\\nAllowTcpForwarding no\\nMatch all\\n' >${path}`);
    await expect(world.lay(world.endsOf())).rejects.toMatchObject({ code: 'sshd_overrides' });
    expect(await world.server.tries(`test -e ${DROP_IN}`)).toBe(false);
    await removeTunnel(world.endsOf(), 'unfinished');
    await world.server.sh(`rm ${path}`);
    expect(world.files()).toEqual(bare);
  });

  it('is gone for good though another run began something beside it and was cut off', async () => {
    const ends = world.endsOf();
    const beside = `${FOLDER}/logins/latchkey-tunnel/unfinished-latchkey-other@ocother12345`;
    await world.lay(ends);
    await world.server.sh(`touch ${beside}`);
    await removeTunnel(ends, 'all');
    expect(describeTunnelRemoval(ends.plan, await lookAtTunnel(ends))).toEqual([]);
    expect(world.files()).toEqual(bare);
  }, 60_000);

  describe('once it is there', () => {
    let own: ReturnType<SshTunnelWorld['files']>;
    const mainPid = (): Promise<string> => world.home.sh('systemctl show -P MainPID latchkey-tunnel-cloud.service');

    beforeAll(async () => {
      // neither a list of who may log in keeps it out, nor that nobody else may forward anything
      await world.server.sh(
        "printf 'AllowUsers root\\nDisableForwarding yes\\n' >/etc/ssh/sshd_config.d/99-few.conf; systemctl reload ssh.service",
      );
      await world.lay(world.endsOf());
      own = world.files();
    }, 60_000);
    afterAll(async () => {
      await removeTunnel(world.endsOf(), 'all');
      await removeTunnel(world.endsOf(), 'all');
      await world.server.sh('rm /etc/ssh/sshd_config.d/99-few.conf; systemctl reload ssh.service');
      expect(world.files()).toEqual(bare);
      for (const machine of [world.home, world.server]) {
        expect(await machine.tries('id latchkey-tunnel || grep latchkey /etc/group')).toBe(false);
      }
      expect(await world.home.tries('systemctl cat latchkey-tunnel-cloud.service')).toBe(false);
      expect(await world.heardOnServer()).toBe('');
    }, 60_000);

    it('leads from the loopback of the server to the machine at home', async () => {
      await until(async () => (await world.heardOnServer()) === ANSWER);
      expect((await world.server.sh('ss -Hltn sport = :8443')).trim()).toMatch(/^LISTEN .* 127\.0\.0\.1:8443 [^\n]*$/);
    });

    it('is seen to be whole, and laying it again changes nothing, nor is the line cut', async () => {
      const before = await mainPid();
      expect((await lookAtTunnel(world.endsOf())).whole).toBe(true);
      await world.lay(world.endsOf());
      expect(world.files()).toEqual(own);
      expect(await mainPid()).toBe(before);
    });

    it('is not undone by a later run that fails', async () => {
      await removeTunnel(world.endsOf(), 'unfinished');
      expect(world.files()).toEqual(own);
    });

    it('is not touched for another Nextcloud whose tunnel has the same name', async () => {
      const other = world.endsOf({ instance: 'ocother12345', listen: 9443 });
      const state = await lookAtTunnel(other);
      expect(state.whole).toBe(false);
      expect(tunnelObstacle(state, other.plan)?.code).toBe('tunnel_name_taken');
      expect(describeTunnelRemoval(other.plan, state)).toEqual([]);
      await expect(world.lay(other)).rejects.toMatchObject({ code: 'tunnel_name_taken' });
      for (const what of ['unfinished', 'all'] as const) await removeTunnel(other, what);
      expect(world.files()).toEqual(own);
      expect(await world.heardOnServer()).toBe(ANSWER);
    });

    it('has its port of the server for itself, and keeps the account when another one goes', async () => {
      const other = world.endsOf({ name: 'other', instance: 'ocother12345' });
      expect(tunnelObstacle(await lookAtTunnel(other), other.plan)?.code).toBe('listen_taken');
      expect(describeTunnelRemoval(other.plan, await lookAtTunnel(other))).toEqual([]);
      expect(describeTunnelRemoval(world.plan(), await lookAtTunnel(world.endsOf())).join('\n')).toContain(
        'the account',
      );
    });

    it('is its own where it was laid before tunnels said whose they are, and says so when it is laid again', async () => {
      const line = await mainPid();
      await world.home.sh(`cd ${FOLDER}/dials/cloud; rm instance; sed -i 's/ of oc1234567890;/;/' ${UNIT}`);
      await world.server.sh(`sed -i 's/@oc1234567890$//' ${FOLDER}/logins/latchkey-tunnel/authorized_keys`);
      expect((await lookAtTunnel(world.endsOf())).whole).toBe(true);
      expect(describeTunnelRemoval(world.plan(), await lookAtTunnel(world.endsOf()))).toHaveLength(6);
      expect(await mainPid()).toBe(line);
      await world.lay(world.endsOf());
      expect(world.files()).toEqual(own);
    }, 60_000);

    describe('beside the login of another one', () => {
      const LIST = `${FOLDER}/logins/latchkey-tunnel/authorized_keys`;
      const OTHER = `restrict,port-forwarding,command="/bin/false",permitlisten="127.0.0.1:9443" ssh-ed25519 ${'A'.repeat(68)} latchkey-other@ocother12345`;
      const told = (edit: string): Promise<string> =>
        world.server.sh(`sed -i '${edit}' ${DROP_IN}; systemctl reload ssh.service`);

      beforeAll(() => world.server.sh(`echo '${OTHER}' >>${LIST}`));
      afterAll(async () => {
        await world.server.sh(`sed -i '/latchkey-other@/d' ${LIST}`);
        expect(world.files()).toEqual(own);
      });

      it('is refused where those go the other way, with nothing changed', async () => {
        await told('s/AllowTcpForwarding remote/AllowTcpForwarding local/; s/PermitOpen/PermitListen/');
        const before = world.files();
        expect(tunnelObstacle(await lookAtTunnel(world.endsOf()), world.plan())?.code).toBe('tunnel_account_shared');
        expect(world.files()).toEqual(before);
        await told('s/AllowTcpForwarding local/AllowTcpForwarding remote/; s/PermitListen/PermitOpen/');
      });

      it('is mended where an earlier version told sshd something else, and the other one stays', async () => {
        await told('s/ClientAliveInterval .*/ClientAliveInterval 15/');
        const state = await lookAtTunnel(world.endsOf());
        expect([state.whole, state.dialled.others]).toEqual([false, 1]);
        expect(tunnelObstacle(state, world.plan())).toBeNull();
        await world.lay(world.endsOf());
        expect((await lookAtTunnel(world.endsOf())).whole).toBe(true);
        expect(await world.server.sh(`grep ClientAliveInterval ${DROP_IN}`)).toBe('\tClientAliveInterval 1\n');
        expect(await world.server.sh(`grep -c . ${LIST}; grep latchkey-other@ ${LIST}`)).toBe(`3\n${OTHER}\n`);
      }, 60_000);
    });

    it('has a private key that nobody else at home reads, and that never came over a connection', async () => {
      const key = await world.home.sh(`cat ${FOLDER}/dials/cloud/key`);
      const bytes = key.split('\n').slice(1, -2).join('').slice(-60);
      expect(bytes).toHaveLength(60);
      expect(Buffer.concat(world.heard).toString('latin1')).not.toContain(bytes);
      expect(await world.home.sh(`stat -c '%a %U' ${FOLDER}/dials/cloud/key`)).toBe('600 latchkey-tunnel\n');
      expect(await world.server.tries(`grep -rqF '${bytes}' /etc /root`)).toBe(false);
    });

    it('has a unit that systemd finds nothing wrong with', async () => {
      expect(await world.home.sh(`systemd-analyze verify --man=no ${UNIT} 2>&1`)).toBe('');
    });

    describe.concurrent('has a key that is good for nothing else', () => {
      const ssh = async (...words: string[]): Promise<{ exit: number; said: string }> => {
        const key = ['-i', `${FOLDER}/dials/cloud/key`, '-o', `UserKnownHostsFile=${FOLDER}/dials/cloud/known_hosts`];
        const usual = ['-F', '/dev/null', ...key, '-o', 'HostKeyAlias=latchkey-cloud', '-o', 'BatchMode=yes'];
        const argv: Argv = ['ssh', ...usual, '-l', 'latchkey-tunnel', ...words];
        const ended = await run(world.home.inside(argv), {
          timeoutMs: 30_000,
          allowExit: 'any',
          input: 'echo IN; id\n',
        });
        return { exit: ended.exit, said: ended.stdout.toString('utf8') + ended.stderr };
      };

      it.each([
        ['a shell', '-T', ''],
        ['a terminal', '-tt', ''],
        ['a command', '-T', 'echo IN'],
        ['sftp', '-s', 'sftp'],
      ])('not for %s', async (_, flag, command) => {
        const { exit, said } = await ssh(flag, world.server.address, ...(command === '' ? [] : [command]));
        expect(exit).not.toBe(0);
        expect(said).not.toMatch(/^IN|uid=/m);
        expect(said).toContain('open failed');
      });

      it.each([
        ['another port of the server', '127.0.0.1:9443:127.0.0.1:8443'],
        ['all of its addresses', '0.0.0.0:8443:127.0.0.1:8443'],
        ['the same port on another address', '198.51.100.10:8443:127.0.0.1:8443'],
        ['a socket among its files', '/tmp/a-socket:127.0.0.1:8443'],
        ['what is asked for there', '127.0.0.1:9444'],
      ])('not to listen on %s', async (_, asked) => {
        const { exit, said } = await ssh('-N', '-o', 'ExitOnForwardFailure=yes', '-R', asked, world.server.address);
        expect(exit).toBe(255);
        expect(said).toMatch(/forwarding failed/);
      });

      it('not to reach anything from the server', async () => {
        const { exit, said } = await ssh('-W', '127.0.0.1:22', world.server.address);
        expect(exit).toBe(255);
        expect(said).toContain('administratively prohibited');
        expect(said).not.toContain('SSH-2.0');
      });

      it.each(['-A', '-X'])('not to hand on an agent or a display (%s)', async (flag) => {
        const { said } = await ssh(flag, '-T', world.server.address, 'env');
        expect(said).toContain('open failed');
      });

      it('and its account has no other way in', async () => {
        const others = ['PreferredAuthentications=password,keyboard-interactive', 'PubkeyAuthentication=no'];
        const { said } = await ssh(...others.flatMap((one) => ['-o', one]), world.server.address);
        expect(said).toContain('Permission denied (publickey)');
        expect(await world.server.sh('getent shadow latchkey-tunnel | cut -d: -f2')).toBe('*\n');
        expect(await world.server.sh('getent passwd latchkey-tunnel | cut -d: -f7')).toBe('/usr/sbin/nologin\n');
      });
    });

    it('comes back when its connection is cut', async () => {
      const before = await mainPid();
      await world.server.sh('pkill -u latchkey-tunnel sshd');
      await until(async () => (await mainPid()) !== before && (await world.heardOnServer()) === ANSWER);
    }, 60_000);

    it.runIf(isThorough)(
      'is found broken, and is mended, where parts of it were taken away',
      async () => {
        await world.server.sh(`rm ${DROP_IN}; systemctl reload ssh.service`);
        await world.home.sh('systemctl disable --now -q latchkey-tunnel-cloud.service');
        expect((await lookAtTunnel(world.endsOf())).whole).toBe(false);
        await world.lay(world.endsOf());
        expect((await lookAtTunnel(world.endsOf())).whole).toBe(true);
        expect(world.files()).toEqual(own);
      },
      60_000,
    );

    it('comes back when its line was silent, and each end has given it up', async () => {
      await world.network.setLine(false);
      await until(async () => !(await world.server.tries('ss -Hltn | grep -q 127.0.0.1:8443')));
      await world.network.setLine(true);
      await until(async () => (await world.heardOnServer()) === ANSWER);
    }, 60_000);

    describe.runIf(isThorough)('comes back', () => {
      it('when home has another address', async () => {
        await world.network.changeHomeAddress();
        await until(async () => (await world.heardOnServer()) === ANSWER);
      }, 60_000);

      it('when the server had no power', async () => {
        await world.server.cutPower();
        await world.server.boot();
        await until(async () => (await world.heardOnServer()) === ANSWER);
      }, 60_000);

      it('when home had no power', async () => {
        await world.home.cutPower();
        await world.home.boot();
        await world.startAnswerer();
        await until(async () => (await world.heardOnServer()) === ANSWER);
      }, 60_000);
    });
  });
});

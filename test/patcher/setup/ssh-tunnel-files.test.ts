import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { ask, keyAnswer, nothing } from '../../../patcher/setup/ssh-tunnel/end-answers.ts';
import { endScript } from '../../../patcher/setup/ssh-tunnel/end-script.ts';
import { tunnelObstacle } from '../../../patcher/setup/ssh-tunnel/obstacles.ts';
import { sshCommand } from '../../../patcher/setup/ssh-tunnel/ssh-command.ts';
import type { TunnelState } from '../../../patcher/setup/ssh-tunnel/ssh-tunnel.ts';
import { type SshTunnelPlan, sshTunnelPlanOf } from '../../../patcher/setup/ssh-tunnel/ssh-tunnel-plan.ts';
import { authorizedLine, dropInText } from '../../../patcher/setup/ssh-tunnel/sshd-files.ts';
import { trialTrouble } from '../../../patcher/setup/ssh-tunnel/trial-trouble.ts';
import { tunnelInits, tunnelService } from '../../../patcher/setup/ssh-tunnel/tunnel-service.ts';
import type { Transport } from '../../../patcher/transports/transport.ts';
import { SHELLS } from '../../harness/installer-machine.ts';
import { hasProgram } from '../../harness/programs.ts';
import { verifyUnits } from '../../harness/unit-verification.ts';

const PLAN: SshTunnelPlan = {
  name: 'my.cloud-1',
  instance: 'oc1234567890',
  account: 'latchkey-tunnel',
  dials: 'home',
  endpoint: { host: 'cloud.example.org', port: 2222 },
  listen: 8443,
  target: '[::1]:8443',
  aliveSeconds: 15,
  retrySeconds: 5,
};
const OTHER_WAY: SshTunnelPlan = { ...PLAN, dials: 'server' };
const KEY = `ssh-ed25519 ${'A'.repeat(68)}`;
const LAID: TunnelState = {
  dialling: {
    init: 'systemd',
    own: 'ours',
    shared: false,
    wanted: false,
    ssh: '/usr/bin/ssh',
    keygen: '/usr/bin/ssh-keygen',
    account: 'ours',
    key: KEY,
    unfinished: false,
  },
  dialled: {
    system: 'Linux',
    account: 'ours',
    sshd: '/usr/sbin/sshd',
    dropins: true,
    dropin: 'ours',
    otherway: false,
    logins: 'ours',
    others: 0,
    shared: false,
    wanted: false,
    unfinished: false,
    settled: true,
    login: null,
  },
  hostKeys: [],
  service: tunnelService('systemd', PLAN, '/usr/bin/ssh'),
  serviceFile: 'ours',
  listener: 'ours',
  whole: true,
};

describe('an obstacle to a tunnel', () => {
  const { dialling, dialled } = LAID;
  it.each([
    ['listen_privileged', {}, { listen: 1023 }],
    ['tunnel_not_to_here', { dialled: { ...dialled, system: 'Darwin' } }, {}],
    ['ssh_missing', { dialling: { ...dialling, ssh: null } }, {}],
    ['ssh_missing', { dialling: { ...dialling, keygen: null } }, {}],
    ['sshd_missing', { dialled: { ...dialled, sshd: null } }, {}],
    ['sshd_no_dropins', { dialled: { ...dialled, dropins: false } }, {}],
    ['no_scheduler', { service: null }, {}],
    ['account_taken', { dialling: { ...dialling, account: 'foreign' } }, {}],
    ['account_taken', { dialled: { ...dialled, account: 'foreign' } }, {}],
    ['tunnel_foreign', { serviceFile: 'foreign' }, {}],
    ['tunnel_foreign', { dialled: { ...dialled, dropin: 'foreign' } }, {}],
    ['tunnel_foreign', { dialled: { ...dialled, logins: 'foreign' } }, {}],
    ['tunnel_account_shared', { dialled: { ...dialled, others: 1, otherway: true } }, {}],
    ['tunnel_name_taken', { serviceFile: 'other' }, {}],
    ['tunnel_name_taken', { dialling: { ...dialling, own: 'other' } }, {}],
    ['listen_taken', { listener: 'foreign' }, {}],
    ['listen_taken', { dialling: { ...dialling, wanted: true } }, {}],
    ['listen_taken', { dialled: { ...dialled, wanted: true } }, {}],
  ] satisfies readonly (readonly [string, Partial<TunnelState>, Partial<SshTunnelPlan>])[])(
    'is named %s',
    (code, state, plan) => {
      expect(tunnelObstacle({ ...LAID, ...state }, { ...PLAN, ...plan })?.code).toBe(code);
    },
  );

  it('is none where a tunnel is, or where nothing is', () => {
    expect(tunnelObstacle(LAID, PLAN)).toBeNull();
    // nor where sshd is yet to be told otherwise of all that end there
    expect(tunnelObstacle({ ...LAID, dialled: { ...dialled, others: 1, settled: false } }, PLAN)).toBeNull();
    const bare: TunnelState = {
      ...LAID,
      dialling: { ...dialling, account: 'none', key: null },
      dialled: { ...dialled, account: 'none', dropin: 'none', logins: 'none', settled: false },
      serviceFile: 'none',
      listener: 'none',
      whole: false,
    };
    expect(tunnelObstacle(bare, PLAN)).toBeNull();
  });
});

describe('a login that did not come about', () => {
  it.each([
    ['other-host', 'tunnel_other_host'],
    ['denied', 'tunnel_denied'],
    ['no-name', 'tunnel_no_name'],
    ['refused', 'tunnel_refused'],
    ['silent', 'tunnel_silent'],
    ['cut', 'tunnel_cut'],
  ] as const)('is told as what it was: %s', (trial, code) => {
    const error = trialTrouble(trial, PLAN);
    expect(error).toMatchObject({ code, field: 'sshTunnel.endpoint' });
    expect(error?.hint).toBeDefined();
  });

  it('is none when somebody was let in', () => expect(trialTrouble('in', PLAN)).toBeNull());
});

describe('what ssh is told', () => {
  it('is one forwarding, from home as from the server, and no configuration of anybody', () => {
    expect(sshCommand(PLAN, 'ssh').slice(0, 4)).toEqual(['ssh', '-N', '-R', '127.0.0.1:8443:[::1]:8443']);
    expect(sshCommand(OTHER_WAY, 'ssh').slice(0, 4)).toEqual(['ssh', '-N', '-L', '127.0.0.1:8443:[::1]:8443']);
    const words = sshCommand(PLAN, 'ssh').join(' ');
    for (const word of ['-F /dev/null', 'StrictHostKeyChecking=yes', 'ExitOnForwardFailure=yes', 'BatchMode=yes']) {
      expect(words).toContain(word);
    }
  });

  it('is understood by this ssh', () => {
    const [, ...words] = sshCommand(PLAN, 'ssh');
    const { stdout, status } = spawnSync('ssh', ['-G', ...words], { encoding: 'utf8' });
    expect(status).toBe(0);
    expect(stdout).toContain('\nuserknownhostsfile /etc/latchkey-tunnel/dials/my.cloud-1/known_hosts\n');
    expect(stdout).toContain('\nhostkeyalias latchkey-my.cloud-1\n');
    expect(stdout).toContain('\nserveraliveinterval 15\n');
  });
});

describe('what sshd is told', () => {
  it('has one kind of forwarding for the account, and one port for the key', () => {
    expect(dropInText(PLAN)).toMatch(/^#.*\nMatch User latchkey-tunnel\n(\t.*\n)+Match all\n$/);
    expect(dropInText(PLAN)).toContain('\tDisableForwarding no\n\tAllowTcpForwarding remote\n\tPermitOpen none\n');
    expect(dropInText(OTHER_WAY)).toContain('\tAllowTcpForwarding local\n\tPermitListen none\n');
    const restricted = 'restrict,port-forwarding,command="/bin/false",';
    expect(authorizedLine(PLAN, KEY)).toBe(
      `${restricted}permitlisten="127.0.0.1:8443" ${KEY} latchkey-my.cloud-1@oc1234567890`,
    );
    expect(authorizedLine(OTHER_WAY, KEY)).toBe(
      `${restricted}permitopen="[::1]:8443" ${KEY} latchkey-my.cloud-1@oc1234567890`,
    );
  });
});

describe('what keeps it up', () => {
  it('is refused where ssh lies at a path that a file of its own would read otherwise', () => {
    for (const init of tunnelInits) {
      expect(() => tunnelService(init, PLAN, '/opt/a b/ssh')).toThrow(
        expect.objectContaining({ code: 'ssh_path_odd' }),
      );
    }
  });

  it.runIf(hasProgram('systemd-analyze'))('is a unit that systemd finds nothing wrong with', async () => {
    for (const plan of [PLAN, OTHER_WAY]) {
      const { file, unit } = tunnelService('systemd', { ...plan, account: 'root' }, '/usr/bin/ssh');
      expect(await verifyUnits({ [unit]: file.text })).toBe('0 ');
      expect(file.text).toContain('\nRestart=always\n');
    }
  });

  it.runIf(hasProgram('python3'))('is a property list that says the same, on macOS', () => {
    const { file } = tunnelService('launchd', PLAN, '/usr/bin/ssh');
    const read = 'import json,plistlib,sys; print(json.dumps(plistlib.loads(sys.stdin.buffer.read())))';
    const { stdout } = spawnSync('python3', ['-c', read], { input: file.text, encoding: 'utf8' });
    expect(JSON.parse(stdout)).toMatchObject({
      Label: 'latchkey.tunnel.my.cloud-1',
      UserName: 'latchkey-tunnel',
      KeepAlive: true,
      RunAtLoad: true,
      ProgramArguments: sshCommand(PLAN, '/usr/bin/ssh'),
    });
    expect(file.path).toBe('/Library/LaunchDaemons/latchkey.tunnel.my.cloud-1.plist');
  });

  it('is a service of OpenRC whose words the shell takes apart to the same', () => {
    const { file } = tunnelService('openrc', PLAN, '/usr/bin/ssh');
    const said = 'printf "%s\\n" "$command" $command_args "$command_user" "$supervisor"';
    const { stdout } = spawnSync('sh', ['-s'], { input: `${file.text}\n${said}`, encoding: 'utf8' });
    expect(stdout.trimEnd().split('\n')).toEqual([
      ...sshCommand(PLAN, '/usr/bin/ssh'),
      'latchkey-tunnel',
      'supervise-daemon',
    ]);
  });

  it('is a file of cron without a dot in its name, and a script that runs once', () => {
    const { file, keeper } = tunnelService('cron', PLAN, '/usr/bin/ssh');
    expect(file.path).toBe('/etc/cron.d/latchkey-tunnel-my_cloud-1');
    expect(file.text).toContain(`\n* * * * * latchkey-tunnel ${keeper?.path} >/dev/null 2>&1\n`);
    expect(spawnSync('sh', ['-n'], { input: keeper?.text }).status).toBe(0);
  });
});

describe('an end that answers what no script of ours does', () => {
  const answering = (exit: number, stdout: string): Transport =>
    ({ label: 'server', run: async () => ({ exit, stdout: Buffer.from(stdout), stderr: '' }) }) as unknown as Transport;
  it('is not given a code of its own', async () => {
    const told = ask(answering(1, 'error Host Key\u001b[2J\nwords it failed\n'), '', ['look'], nothing);
    await expect(told).rejects.toMatchObject({ code: 'tunnel_failed', message: 'server: it failed' });
  });
  it('hands over no key that is more than one', async () => {
    const key = `ssh-ed25519 ${'A'.repeat(68)}`;
    for (const odd of [`${key} x`, `command="id" ${key}`, `@cert-authority ${key}`, 'none', `${key}\r`]) {
      await expect(ask(answering(0, `hostkey ${odd}\n`), '', ['look'], nothing)).rejects.toMatchObject({
        code: 'tunnel_failed',
      });
      await expect(ask(answering(0, `key ${odd}\n`), '', ['prepare'], keyAnswer)).rejects.toMatchObject({
        code: 'tunnel_failed',
      });
    }
  });
});

describe('the scripts of both ends', () => {
  const ends = ['dialling', 'dialled'] as const;
  const NASTY = `'; touch BROKEN; $(touch BROKEN) \`touch BROKEN\` " \\ %s`;

  test.runIf(hasProgram('shellcheck')).each(ends)('shellcheck finds nothing in the one that is %s', (end) => {
    const { stdout, status } = spawnSync('shellcheck', ['--shell=sh', '-'], {
      input: endScript(end, PLAN, {}),
      encoding: 'utf8',
    });
    expect([stdout, status]).toEqual(['', 0]);
  });

  test.each(ends.flatMap((end) => Object.entries(SHELLS).map(([shell, argv]) => [end, shell, argv] as const)))(
    'the one that is %s does nothing under %s without a word that it knows, whatever the values are',
    (end, _, [shell, ...args]) => {
      const { status, stdout, stderr } = spawnSync(shell, [...args, '-s', '--', 'touch'], {
        input: endScript(end, { ...PLAN, name: NASTY }, { TRIAL: NASTY }),
        encoding: 'utf8',
      });
      expect([status, stdout, stderr]).toEqual([2, '', '']);
    },
  );
});

test('a plan leads to where the key server listens at home, whichever it is', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('127.0.0.1', '10.71.203.1', 'fd00::1'),
      fc.integer({ min: 1, max: 65_535 }),
      (host, port) => {
        const sshTunnel = { dials: 'home', endpoint: PLAN.endpoint, account: PLAN.account, listen: 8443 } as const;
        const agreed = { wireguard: null, sshTunnel, keyServer: { listen: { host, port } } };
        const memory = { instanceId: 'oc1' };
        const context = { config: { client: 'cloud' }, agreed, memory } as unknown as Parameters<
          typeof sshTunnelPlanOf
        >[0];
        expect(sshTunnelPlanOf(context).target).toBe(host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`);
        const none = { ...context, agreed: { ...context.agreed, sshTunnel: null } };
        expect(() => sshTunnelPlanOf(none)).toThrow(TypeError);
      },
    ),
  );
});

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tunnelObstacle } from '../../../patcher/setup/ssh-tunnel/obstacles.ts';
import {
  layTunnel,
  lookAtTunnel,
  removeTunnel,
  type TunnelEnds,
} from '../../../patcher/setup/ssh-tunnel/ssh-tunnel.ts';
import { BackgroundProcess } from '../../harness/background-process.ts';
import { type InstallerMachine, installerObstacle } from '../../harness/installer-machine.ts';
import { InstallerScene } from '../../harness/installer-scene.ts';
import { DISTRIBUTIONS } from '../../harness/installer-stand-ins.ts';
import { MacMachine } from '../../harness/mac-machine.ts';
import { guarded } from '../../harness/mac-stand-ins.ts';
import { findProgram } from '../../harness/programs.ts';
import { sshdMissing } from '../../harness/sshd.ts';
import { transportTo } from './key-server-world.ts';
import { until } from './ssh-tunnel-world.ts';

const BIN = '/run/stand-in/mac';
const PLIST = '/Library/LaunchDaemons/latchkey.tunnel.cloud.plist';
/** What every Mac has too, and installers do not use. */
const MORE = ['sync', 'ssh', 'ssh-keygen'];
/** dscl(1) keeps a file for each property; an account with its last one is there for other programs too. The numbers 300 and 301 are taken. */
const DSCL = `#!/bin/sh
[ "$1" = . ] || exit 9
name=\${3##*/}
book=/run/stand-in/directory$3
case $2 in
  -list) [ "$3" = /Users ] && printf 'one\\t\\t 300\\n' || printf 'two\\t\\t 301\\n' ;;
  -read) [ -d "$book" ] || exit 56; [ -z "$4" ] || echo "$4: $(cat "$book/$4")" ;;
  -delete)
    rm -r "$book"
    list=/etc/group
    [ "\${3%/*}" != /Users ] || list=/etc/passwd
    grep -v "^$name:" $list >/run/stand-in/list; cat /run/stand-in/list >$list ;;
  -create)
    /usr/bin/mkdir -p "$book"
    echo "$5" >"$book/$4"
    case $3/$4 in
      /Users/*/IsHidden) echo "$name:x:$(cat "$book/UniqueID"):$(cat "$book/PrimaryGroupID")::$(cat "$book/NFSHomeDirectory"):$(cat "$book/UserShell")" >>/etc/passwd ;;
      /Groups/*/PrimaryGroupID) echo "$name:x:$5:" >>/etc/group ;;
    esac ;;
  *) exit 9 ;;
esac
`;
const SUDO = `#!/bin/sh
[ "$1 $2" = '-n -u' ] || exit 64
user=$3; shift 3
exec /usr/bin/setpriv --reuid "$user" --regid "$user" --clear-groups "$@"
`;

describe.skipIf((installerObstacle() ?? sshdMissing()) !== null)('an SSH tunnel that a stand-in for a Mac lays', () => {
  let scene: InstallerScene;
  let mac: MacMachine;
  let server: InstallerMachine;
  let sshd: BackgroundProcess;
  let ends: TunnelEnds;
  const onServer = (line: string): Promise<string> => server.command('sh', '-c', line);

  beforeAll(async () => {
    scene = await InstallerScene.build();
    mac = await MacMachine.build(scene);
    for (const name of MORE) mac.base.write(`${BIN}/${name}`, guarded(name, findProgram(name) ?? name), 0o755);
    for (const [name, text] of Object.entries({ dscl: DSCL, sudo: SUDO }))
      mac.base.write(`${BIN}/${name}`, text, 0o755);
    server = await scene.machine(DISTRIBUTIONS.container);
    await onServer('mkdir -p /run/sshd; rm -f /etc/ssh/ssh_host_*; ssh-keygen -q -A');
    sshd = await BackgroundProcess.start(server.inside(['/usr/sbin/sshd', '-D', '-e']), { readyWhen: /listening on/ });
    ends = {
      plan: {
        name: 'cloud',
        instance: 'oc1234567890',
        account: 'latchkey-tunnel',
        dials: 'home',
        endpoint: { host: server.machine.address, port: 22 },
        listen: 8443,
        target: '127.0.0.1:8443',
        aliveSeconds: 1,
        retrySeconds: 1,
      },
      home: await transportTo('the Mac', (argv) => mac.base.inside(['env', `PATH=${BIN}`, 'HOME=/var/root', ...argv])),
      server: await transportTo('the server', (argv) => server.inside(argv)),
    };
  }, 90_000);
  afterAll(async () => {
    await sshd?.stop();
    await scene?.end();
  });

  it('is refused where the Mac would have to be dialled', async () => {
    const otherWay: TunnelEnds = { ...ends, plan: { ...ends.plan, dials: 'server' } };
    expect(tunnelObstacle(await lookAtTunnel(otherWay), otherWay.plan)?.code).toBe('tunnel_not_to_here');
  });

  it('is made, found whole, kept by launchd, and taken away', async () => {
    await layTunnel(ends, await lookAtTunnel(ends));
    const state = await lookAtTunnel(ends);
    expect([state.whole, state.dialling.init, state.listener]).toEqual([true, 'launchd', 'ours']);
    const owners = `stat -c '%U %a' /etc/latchkey-tunnel/dials/cloud/key ${PLIST}`;
    expect(await mac.base.command('sh', '-c', owners)).toBe('latchkey-tunnel 600\nroot 644\n');
    expect(await mac.base.command('id', '-u', 'latchkey-tunnel')).toBe('302\n');
    mac.base.takeCalls();
    await layTunnel(ends, state);
    expect(mac.base.takeCalls().filter((call) => call.startsWith('launchctl'))).toEqual([]);

    const ssh = (await mac.base.command('sh', '-c', 'pgrep -u 302 -x ssh')).trim();
    await mac.base.command('kill', ssh);
    await until(
      async () =>
        (await lookAtTunnel(ends)).listener === 'ours' && !mac.base.machine.processes('ssh').includes(Number(ssh)),
    );

    await removeTunnel(ends, 'all');
    await removeTunnel(ends, 'all');
    expect(mac.base.read(PLIST)).toBeNull();
    expect(
      await mac.base.command('sh', '-c', 'ls /etc/latchkey-tunnel /var/log/latchkey* 2>/dev/null || echo none'),
    ).toBe('none\n');
    expect(
      await mac.base.command('sh', '-c', 'ls /run/stand-in/directory/Users /run/stand-in/directory/Groups'),
    ).not.toContain('latchkey');
    expect(
      await onServer(
        'ls /etc/ssh/sshd_config.d /etc/latchkey-tunnel 2>/dev/null; id latchkey-tunnel 2>/dev/null || echo none',
      ),
    ).toMatch(/none\n$/);
    expect((await lookAtTunnel(ends)).listener).toBe('none');
  }, 60_000);
});

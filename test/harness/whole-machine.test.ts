import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cleanup } from './cleanup.ts';
import { WholeMachine, wholeMachineObstacle } from './whole-machine.ts';
import { WholeNetwork } from './whole-network.ts';

const SERVICE = `[Service]
ExecStart=/bin/sh -c 'echo started >>/root/starts; exec sleep 600'
[Install]
WantedBy=multi-user.target
`;

const DOOR = ['systemd-socket-activate', '--accept', '--inetd', '--listen=8000', 'cat'];

const obstacle = wholeMachineObstacle();

describe.skipIf(obstacle !== null)('a machine with an init of its own', () => {
  const cleanup = new Cleanup();
  let network: WholeNetwork;
  let home: WholeMachine;
  let server: WholeMachine;

  beforeAll(async () => {
    network = await WholeNetwork.build(cleanup);
    home = WholeMachine.build('home', { wire: network.home, cleanup });
    server = WholeMachine.build('server', { wire: network.server, cleanup });
    await Promise.all([home.boot(), server.boot()]);
    for (const machine of [home, server]) await machine.command(['systemd-run', '--unit=door', ...DOOR]);
    await until(() => reaches(home, home.address));
  });
  afterAll(async () => expect(await cleanup.run()).toEqual([]));

  it('changes nothing of this system, of the other machine and of their common kernel', async () => {
    home.write('/etc/latchkey-was-here', '');
    expect(existsSync('/etc/latchkey-was-here')).toBe(false);
    expect(existsSync(server.path('/etc/latchkey-was-here'))).toBe(false);
    expect(await home.tries('echo 1 >/proc/sys/kernel/panic')).toBe(false);
    expect(await home.tries(': >/sys/kernel/uevent_helper')).toBe(false);
  });

  it('has nothing that people keep on this system', async () => {
    expect(await home.sh('ls -A /home /opt /srv /etc/wireguard /usr/local/bin')).not.toMatch(/^[^/\n].*[^:]$/m);
  });

  it('is not reached from the internet behind its router, and comes out of it', async () => {
    await server.sh('ip route add 192.168.77.0/24 via 198.51.100.1');
    expect(await reaches(server, home.address)).toBe(false);
    expect(await reaches(server, network.homeAddress)).toBe(false);
    await until(() => reaches(home, server.address));
  });

  it('is cut off with its line, and comes out again by another address', async () => {
    await network.setLine(false);
    expect(await reaches(home, server.address)).toBe(false);
    await network.setLine(true);
    const before = network.homeAddress;
    await network.changeHomeAddress();
    expect(network.homeAddress).not.toBe(before);
    await until(() => reaches(home, server.address));
  });

  it('loses its processes and what it had in memory with its power, and starts what starts at boot', async () => {
    home.write('/etc/systemd/system/kept.service', SERVICE);
    home.write('/etc/systemd/system/lost.service', SERVICE.replace('started', 'lost'));
    await home.sh('systemctl daemon-reload && systemctl enable --now kept.service && systemctl start lost.service');
    home.write('/tmp/note', '');
    await until(() => home.tries('[ "$(wc -l </root/starts)" = 2 ]'));
    const { pid } = home;
    await home.cutPower();
    expect(existsSync(`/proc/${pid}`)).toBe(false);
    expect(() => home.path('/')).toThrow('home has no power');
    await home.boot();
    await until(() => home.tries('[ "$(cat /root/starts | sort | uniq -c | xargs)" = "1 lost 2 started" ]'));
    expect(await home.tries('test -e /tmp/note')).toBe(false);
    expect(await home.tries('systemctl is-active --quiet lost.service')).toBe(false);
    await until(() => reaches(home, server.address));
  });
});

async function until(is: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await is()); tries++) {
    if (tries === 60) throw new Error('it did not come to pass');
    await sleep(100);
  }
}

function reaches(machine: WholeMachine, address: string): Promise<boolean> {
  return machine.tries(`timeout 1 bash -c '</dev/tcp/${address}/8000'`);
}

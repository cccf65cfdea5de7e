import { chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ContainerTransport, engineFailure } from '../../patcher/transports/container-transport.ts';
import { openLocalTransport } from '../../patcher/transports/local-transport.ts';
import type { Transport } from '../../patcher/transports/transport.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { ContainerHost, containerHostObstacle } from '../harness/container-host.ts';
import { transportContract } from './transport-contract.ts';

const door = { program: '/usr/bin/docker', name: 'cloud' };

describe('engineFailure()', () => {
  // recorded from docker 28 and podman 4.3
  test.each([
    [
      'container_engine_denied',
      'permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: Get "http://%2Fvar": dial unix /var/run/docker.sock: connect: permission denied',
    ],
    [
      'container_engine_down',
      'Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?',
    ],
    ['container_gone', 'Error response from daemon: No such container: cloud'],
    ['container_gone', 'Error: no container with name or ID "cloud" found: no such container'],
    ['container_paused', 'Error response from daemon: Container cloud is paused, unpause the container before exec'],
    [
      'container_restarting',
      'Error response from daemon: Container 5b2c is restarting, wait until the container is running',
    ],
    ['container_not_running', 'Error response from daemon: container 5b2c is not running'],
    ['container_not_running', 'Error: can only create exec sessions on running containers: container state improper'],
    [
      'container_unfit',
      'OCI runtime exec failed: exec failed: unable to start container process: exec: "sh": executable file not found in $PATH: unknown',
    ],
    [
      'container_unfit',
      'Error: crun: executable file `sh` not found in $PATH: No such file or directory: OCI runtime attempted to invoke a command that was not found',
    ],
    ['container_engine_failed', 'something new'],
  ])('knows %s', (code, stderr) => {
    const error = engineFailure({ exit: 1, stderr }, door);
    expect(error.code).toBe(code);
    expect(error.hint).not.toBe('');
    expect(error.message).not.toContain(stderr);
  });
});

const obstacle = containerHostObstacle();
describe.runIf(obstacle === null)('a transport into a container', () => {
  const cleanup = new Cleanup();
  let host: ContainerHost;
  let machine: Transport;

  beforeAll(async () => {
    host = new ContainerHost(cleanup);
    machine = await openLocalTransport({ prompter: null });
  });
  afterAll(async () => {
    expect(await cleanup.run()).toEqual([]);
  });

  async function into(name: string, system: 'debian' | 'busybox', folder: string): Promise<ContainerTransport> {
    const mounts = [{ source: folder, destination: folder }];
    const id = await host.start({ name, image: 'nextcloud', system, mounts });
    return new ContainerTransport(machine, { program: join(host.bin, 'docker'), id, name });
  }

  describe('of Debian', () => {
    transportContract((folder) => into('contract-debian', 'debian', folder));
  });

  describe('of nothing but busybox', () => {
    transportContract((folder) => into('contract-busybox', 'busybox', folder));
  });

  describe('whose container', () => {
    let inside: ContainerTransport;
    let id: string;
    let folder: string;

    beforeAll(async () => {
      folder = host.volume('shared');
      inside = await into('cloud', 'busybox', folder);
      id = JSON.parse(readFileSync(join(host.base, 'containers/cloud.json'), 'utf8')).Id;
      expect(id).toMatch(/^[0-9a-f]{64}$/);
    });

    test('runs programs as a user by name and by number, named in it or not', async () => {
      const who = async (as: string): Promise<string> =>
        (await inside.run(['sh', '-c', 'id -u; id -g'], { as })).stdout.toString();
      expect(await who('www-data')).toBe('33\n33\n');
      expect(await who('4711:4712')).toBe('4711\n4712\n');
      await expect(who('nobody-there')).rejects.toMatchObject({ code: 'container_unfit' });
    });

    test('keeps a lock of the machine for as long as a program runs in it', async () => {
      const running = join(host.base, 'running');
      const go = join(folder, 'go');
      const other = await openLocalTransport({ prompter: null });
      inside.holdWhileRunning(running);
      const slow = inside.run(['sh', '-c', `until [ -e '${go}' ]; do sleep 0.05; done`]);
      const isHeld = `until [ -e "$1" ] && ! flock -n "$1" true; do sleep 0.05; done`;
      expect((await other.run(['sh', '-c', isHeld, 'sh', running], { timeoutMs: 20_000 })).exit).toBe(0);
      writeFileSync(go, '');
      await slow;
      expect(await other.waitUntilIdle(running, 20_000)).toBe(true);
      inside.holdWhileRunning(null);
    });

    test.each([
      ['paused', 'container_paused'],
      ['restarting', 'container_restarting'],
      ['exited', 'container_not_running'],
    ] as const)('is %s is told as %s', async (status, code) => {
      host.setStatus('cloud', status);
      await expect(inside.stat('/bin')).rejects.toMatchObject({ code });
      host.setStatus('cloud', 'running');
      expect(await inside.stat('/bin')).not.toBeNull();
    });

    test('hears the words of the program alone, not its own mark', async () => {
      const said = await inside.run(['sh', '-c', 'echo out; echo err >&2; exit 3']);
      expect([said.exit, said.stdout.toString(), said.stderr]).toEqual([3, 'out\n', 'err\n']);
    });

    test('was replaced while at work is worked on no more', async () => {
      mkdirSync(join(folder, 'kept'));
      writeFileSync(join(folder, 'kept/a'), 'a');
      chownSync(join(folder, 'kept/a'), 33, 33);
      await host.remove('cloud');
      await expect(inside.stat('/bin')).rejects.toMatchObject({ code: 'container_gone' });
      const next = await into('cloud', 'busybox', folder);
      await expect(inside.remove(join(folder, 'kept/a'))).rejects.toMatchObject({ code: 'container_replaced' });
      expect((await next.stat(join(folder, 'kept/a')))?.owner).toBe('www-data');
    });
  });
});

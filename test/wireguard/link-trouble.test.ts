import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { launch, run } from '../../platform/run.ts';
import type { LinkChoice } from '../../wireguard/links/link-choice.ts';
import { isWireGuardLink, readLink } from '../../wireguard/links/link-state.ts';
import { linkTrouble } from '../../wireguard/links/link-trouble.ts';
import { ensureLink, removeLink, type WantedLink } from '../../wireguard/links/linux-link.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { tunnelObstacle } from '../harness/namespaces.ts';
import { hasProgram } from '../harness/programs.ts';

const GO: LinkChoice = { made: 'user-space', program: 'wireguard-go', driver: 'uapi', why: '' };

describe('linkTrouble()', () => {
  test.each([
    [false, null, 'link_refused', /CAP_NET_ADMIN/],
    [false, 'ENOENT', 'link_refused', /CAP_NET_ADMIN/],
    [true, 'ENOENT', 'tun_missing', /modprobe tun/],
    [true, 'EACCES', 'tun_missing', /--device/],
    [true, null, 'link_not_made', /wireguard-go -f wg0/],
  ])('with the right %s and tun %s is %s, with a hint', (mayMakeLinks, tun, code, hint) => {
    const trouble = linkTrouble('wg0', 'wireguard-go', { mayMakeLinks, tun }, 'it did not work', 'said so');
    expect(trouble).toMatchObject({ code, status: 503, hint: expect.stringMatching(hint) });
  });

  test('of an interface of the kernel has nothing to do with tun', () => {
    const trouble = linkTrouble('wg0', null, { mayMakeLinks: true, tun: 'ENOENT' }, 'it did not work');
    expect(trouble).toMatchObject({ code: 'link_not_made', message: 'it did not work' });
  });
});

test.each([
  ['dummy', true, false],
  ['device', true, false],
  ['tun', false, false],
  ['tun', true, true],
  ['wireguard', false, true],
  ['amneziawg', false, true],
])('an interface of kind %s, with a control socket %s, is WireGuard: %s', (kind, hasSocket, expected) => {
  expect(isWireGuardLink(kind, hasSocket)).toBe(expected);
});

describe('launch()', () => {
  const stat = (pid: number): string[] => readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ');

  test.skipIf(process.platform !== 'linux')(
    'starts in a session of its own, and leaves nothing of it behind',
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'lk-launch-'));
      try {
        const note = join(folder, 'pid');
        const started = await launch(['sh', '-c', 'echo $$ > "$0"; exec sleep 600', note]);
        let pid = 0;
        while (pid === 0) {
          await sleep(10);
          pid = Number(readSafely(note));
        }
        const [, , , , group, session] = stat(pid);
        expect([group, session]).toEqual([String(pid), String(pid)]);
        expect(started.exit()).toBeNull();
        process.kill(pid, 'SIGKILL');
        while (started.exit() === null) await sleep(10);
        expect(started.exit()).toBe(128);
        expect(() => stat(pid)).toThrow(/ENOENT/);
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  );

  test('says when there is no such program', async () => {
    await expect(launch(['lk-no-such-program'])).rejects.toMatchObject({ code: 'command_missing' });
  });
});

function readSafely(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

describe.skipIf(tunnelObstacle() !== null)('in a network namespace', { timeout: 60_000 }, () => {
  const cleanup = new Cleanup();
  const namespace = `lkt${process.pid}`;
  const name = `lkt${process.pid % 1e6}`;
  const inside = ['ip', 'netns', 'exec', namespace];
  const link: WantedLink = { name, choice: GO, addresses: ['10.78.0.1/24'], mtu: 1380, inside };
  const ip = async (...args: string[]): Promise<string> =>
    (await run(['ip', '-n', namespace, ...args], { timeoutMs: 5000 })).stdout.toString('utf8');

  beforeAll(async () => {
    await run(['ip', 'netns', 'add', namespace], { timeoutMs: 5000 });
    cleanup.add(namespace, () => run(['ip', 'netns', 'delete', namespace], { timeoutMs: 5000 }).then(() => undefined));
  });
  afterAll(() => cleanup.run());

  test('an interface of another kind that has the name is refused, and nothing of it is changed', async () => {
    await ip('link', 'add', name, 'type', 'veth', 'peer', 'name', 'lkpeer');
    await ip('address', 'add', '10.9.9.9/24', 'dev', name);
    const before = await ip('-details', '-json', 'address', 'show', 'dev', name);
    await expect(ensureLink(link)).rejects.toMatchObject({
      code: 'link_name_taken',
      hint: expect.stringContaining(name),
    });
    await expect(removeLink(link)).rejects.toMatchObject({ code: 'link_name_taken' });
    expect(await ip('-details', '-json', 'address', 'show', 'dev', name)).toBe(before);
    await ip('link', 'delete', name);
  });

  test('a tun of somebody else is refused as well', async () => {
    await ip('tuntap', 'add', 'dev', name, 'mode', 'tun');
    await expect(ensureLink(link)).rejects.toMatchObject({ code: 'link_name_taken' });
    await ip('link', 'delete', name);
  });

  test.skipIf(!hasProgram('setpriv'))('without CAP_NET_ADMIN the refusal says so', async () => {
    const drop = ['setpriv', '--bounding-set=-net_admin', '--inh-caps=-net_admin', '--'] as const;
    const module = new URL('../../wireguard/links/linux-link.ts', import.meta.url).pathname;
    const script = `import { ensureLink } from ${JSON.stringify(module)};
      await ensureLink(${JSON.stringify({ ...link, inside: [] })}).then(() => console.log('made'), (e) => console.log(e.code, e.hint));`;
    const argv = [...drop, process.execPath, '--input-type=module', '-e', script] as const;
    const { stdout } = await run(['ip', 'netns', 'exec', namespace, ...argv], { timeoutMs: 20_000 });
    expect(stdout.toString('utf8')).toMatch(/^link_refused .*AmbientCapabilities=CAP_NET_ADMIN/);
  });

  test('a program that is no tunnel is told by its exit code', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'lk-standin-'));
    cleanup.add(folder, () => rmSync(folder, { recursive: true }));
    // a stand-in for a wireguard-go that ends at once
    writeFileSync(join(folder, 'wireguard-go'), '#!/bin/sh\nexit 7\n');
    chmodSync(join(folder, 'wireguard-go'), 0o755);
    const withStandIn = [...inside, 'env', `PATH=${folder}:${process.env.PATH}`];
    await expect(ensureLink({ ...link, inside: withStandIn })).rejects.toMatchObject({
      code: 'link_not_made',
      message: 'wireguard-go ended at once with exit code 7',
    });
  });

  test('an ip that hangs is given up, with a code of ours', { timeout: 30_000 }, async () => {
    const hanging = ['sh', '-c', 'exec sleep 60', 'sh'];
    await expect(readLink(name, hanging, 200)).rejects.toMatchObject({ code: 'link_not_made', status: 503 });
  });

  test('no process of an interface that was taken away stays behind', async () => {
    await ensureLink(link);
    const children = (): string[] =>
      readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
    const [daemon] = children().filter((pid) => readSafely(`/proc/${pid}/cmdline`) === `wireguard-go\0-f\0${name}\0`);
    expect(daemon).toBeDefined();
    await removeLink(link);
    await expect.poll(children, { timeout: 10_000 }).not.toContain(daemon);
  });
});

import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../../platform/run.ts';
import { uapiDriver } from '../../wireguard/drivers/uapi.ts';
import { generateKeyPair } from '../../wireguard/keys.ts';
import { chooseLink, type LinkChoice, type LinkMeans } from '../../wireguard/links/link-choice.ts';
import { settleRoutes } from '../../wireguard/links/link-routes.ts';
import { ensureLink, removeLink, type WantedLink } from '../../wireguard/links/linux-link.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { tunnelObstacle } from '../harness/namespaces.ts';

describe('chooseLink()', () => {
  const none: LinkMeans = { kernel: false, kernelAmnezia: false, programs: [] };
  test.each([
    [{ kernel: true, programs: ['wg', 'wireguard-go'] }, false, { made: 'kernel', program: null, driver: 'wg' }],
    [
      { kernel: true, programs: ['wireguard-go'] },
      false,
      { made: 'user-space', program: 'wireguard-go', driver: 'uapi' },
    ],
    [{ programs: ['wg', 'wireguard-go'] }, false, { made: 'user-space', program: 'wireguard-go', driver: 'uapi' }],
    [{ programs: ['wg'] }, false, { missing: expect.stringContaining('wireguard-go') }],
    [{ kernel: true }, false, { missing: 'wireguard-tools' }],
    [
      { kernel: true, programs: ['wg', 'awg', 'amneziawg-go'] },
      true,
      { made: 'user-space', program: 'amneziawg-go', driver: 'uapi' },
    ],
    [{ kernelAmnezia: true, programs: ['awg'] }, true, { made: 'kernel', program: null, driver: 'awg' }],
    [{ kernel: true, programs: ['wg'] }, true, { missing: expect.stringContaining('amneziawg-go') }],
  ] as [Partial<LinkMeans>, boolean, object][])('of %j, obfuscated %s, makes %j', (means, obfuscated, expected) => {
    expect(chooseLink({ ...none, ...means }, obfuscated)).toMatchObject(expected);
  });
});

describe.skipIf(tunnelObstacle() !== null)('a link of wireguard-go in a network namespace', { timeout: 60_000 }, () => {
  const cleanup = new Cleanup();
  const namespace = `lkl${process.pid}`;
  const name = `lkl${process.pid % 1e6}`;
  const inside = ['ip', 'netns', 'exec', namespace];
  const choice: LinkChoice = { made: 'user-space', program: 'wireguard-go', driver: 'uapi', why: '' };
  const link: WantedLink = {
    name,
    choice,
    addresses: ['10.77.0.1/24', 'fd77::1/64'],
    mtu: 1400,
    inside,
  };
  const show = async (...args: string[]): Promise<string> =>
    (await run(['ip', '-n', namespace, ...args], { timeoutMs: 5000, allowExit: 'any' })).stdout.toString('utf8');
  const daemons = (): number[] =>
    readdirSync('/proc')
      .map(Number)
      .filter((pid) => {
        try {
          return readFileSync(`/proc/${pid}/cmdline`, 'utf8') === `wireguard-go\0-f\0${name}\0`;
        } catch {
          return false;
        }
      });

  beforeAll(async () => {
    await run(['ip', 'netns', 'add', namespace], { timeoutMs: 5000 });
    cleanup.add(namespace, () => run(['ip', 'netns', 'delete', namespace], { timeoutMs: 5000 }).then(() => undefined));
    cleanup.add(name, () => {
      for (const pid of daemons()) process.kill(pid, 'SIGKILL');
    });
  });
  afterAll(() => cleanup.run());

  test('is made once, with addresses, MTU and routes, and twice changes nothing', async () => {
    expect(await ensureLink(link)).toBe(true);
    const first = await show('-json', 'address', 'show', 'dev', name);
    expect(first).toContain('"local":"10.77.0.1"');
    expect(first).toContain('"mtu":1400');
    await settleRoutes(name, ['192.168.77.0/24'], inside);
    expect(await show('route')).toMatch(/192\.168\.77\.0\/24 dev/);
    expect(await ensureLink(link)).toBe(false);
    expect(await show('-json', 'address', 'show', 'dev', name)).toBe(first);
  });

  test('gets what it lacks and loses what it should not have', async () => {
    await show('address', 'add', '10.66.0.1/24', 'dev', name);
    await show('address', 'delete', '10.77.0.1/24', 'dev', name);
    await show('link', 'set', name, 'mtu', '1300');
    expect(await ensureLink(link)).toBe(false);
    const shown = await show('-json', 'address', 'show', 'dev', name);
    expect(shown).toContain('"local":"10.77.0.1"');
    expect(shown).not.toContain('10.66.0.1');
    expect(shown).toContain('"mtu":1400');
  });

  test('is made again after it was destroyed, without key and peers', async () => {
    const driver = uapiDriver({ socket: `/var/run/wireguard/${name}.sock` });
    const device = { privateKey: generateKeyPair().privateKey, listenPort: 0, fwMark: 0, obfuscation: {} };
    await driver.replace(device, []);
    await show('link', 'delete', name);
    expect(await ensureLink(link)).toBe(true);
    expect((await driver.read()).privateKey).toBeNull();
  });

  test('is taken away, and that twice', async () => {
    await removeLink(link);
    expect(await show('-json', 'address', 'show', 'dev', name)).not.toContain('10.77.0.1');
    await removeLink(link);
  });

  test('that cannot be made says why', async () => {
    const kernel: LinkChoice = { made: 'kernel', program: null, driver: 'awg', why: '' };
    await expect(ensureLink({ ...link, choice: kernel })).rejects.toMatchObject({ code: 'link_not_made', status: 503 });
    const gone: LinkChoice = { made: 'user-space', program: 'no-such-go' as 'wireguard-go', driver: 'uapi', why: '' };
    await expect(ensureLink({ ...link, choice: gone })).rejects.toMatchObject({ code: 'link_not_made' });
  });
});

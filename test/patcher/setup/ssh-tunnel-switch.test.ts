import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SetupStory, storyObstacle } from '../../e2e/setup-story.ts';
import { Cleanup } from '../../harness/cleanup.ts';
import { listTrees } from '../../harness/nextcloud-tree.ts';

const tree = listTrees().at(-1);
const LONG = 900_000;
const CONFIG = ['--config', '/root/setup.json'];

interface Status {
  readonly transport: string;
  readonly tunnels: readonly { readonly name: string; readonly state: string }[];
  readonly urls: readonly string[];
}

describe.skipIf(process.env.LATCHKEY_THOROUGH !== '1' || storyObstacle(tree) !== null || tree === undefined)(
  'the tunnel of a setup that is there',
  () => {
    const cleanup = new Cleanup();
    let story: SetupStory;
    const tunnel = async (...words: readonly string[]) => {
      const ended = await story.pair.home.run(['ncpatch', 'tunnel', ...words, ...CONFIG], { timeoutMs: LONG });
      return { exit: ended.exit, stdout: ended.stdout.toString('utf8'), stderr: ended.stderr };
    };
    const status = async (): Promise<Status> => JSON.parse((await tunnel('status', '--json')).stdout);
    const enrolment = (): Promise<string> =>
      story.pair.server.sh("cat /var/lib/latchkey/*/client.json | tr ',' '\\n' | grep -i '\"clientId\"'");
    /** By what is at home only, asked anew. */
    const opensFiles = async (): Promise<void> => {
      await story.forgetKeys();
      expect(await story.wrongFiles()).toEqual([]);
      expect(story.keysOnServer()).toEqual([]);
    };
    const change = async (to: string): Promise<void> => {
      const { exit, stderr } = await tunnel('use', to, '--yes');
      expect(exit, stderr).toBe(0);
    };

    /** A change that loses its power on the way. */
    const killed = async (seconds: number): Promise<void> => {
      const changing = tunnel('use', 'ssh', '--yes');
      await sleep(seconds * 1_000);
      await story.pair.home.tries('kill -9 $(cat /root/.local/state/latchkey/setup/*/running)');
      await changing;
    };

    beforeAll(async () => {
      if (tree === undefined) return;
      story = await SetupStory.begin(tree, cleanup);
      story.configure({ skip: ['doctor'] });
    }, LONG);
    afterAll(async () => expect(await cleanup.run()).toEqual([]), LONG);

    it(
      'is not changed where there is no setup',
      async () => {
        const { exit, stderr } = await tunnel('use', 'ssh', '--yes');
        expect(exit).toBe(3);
        expect(stderr).toContain('no setup of this server was done from this machine');
        expect((await tunnel('status')).exit).toBe(3);
        expect((await tunnel('use', 'pigeon', '--yes')).exit).toBe(2);
        expect(story.leftovers()).toEqual([]);
      },
      LONG,
    );

    it(
      'is told, with where Nextcloud asks',
      async () => {
        const { exit, stderr } = await story.setup();
        expect(exit, stderr).toBe(0);
        expect(await status()).toMatchObject({
          transport: 'wireguard',
          tunnels: [{ name: 'wireguard', state: 'done' }],
        });
      },
      LONG,
    );

    it(
      'stays what it was, with all that belongs to it, when the other one cannot be laid',
      async () => {
        const { server } = story.pair;
        const before = await status();
        await server.sh('systemd-run -q --unit=other systemd-socket-activate --listen=127.0.0.1:8443 cat; sleep 1');
        const { exit, stderr } = await tunnel('use', 'ssh', '--yes');
        await server.sh('systemctl stop other.service');
        expect([exit, stderr]).toEqual([3, expect.stringContaining('in use by another program')]);
        expect(await status()).toEqual(before);
        expect(await server.tries('id latchkey-tunnel')).toBe(false);
        await opensFiles();
      },
      LONG,
    );

    it(
      'becomes one over SSH while UDP is blocked, with the same enrolment, though it was cut off twice',
      async () => {
        const own = await enrolment();
        await story.pair.network.setUdp(false);
        for (const seconds of [4, 9]) await killed(seconds);
        await change('ssh');
        expect(await status()).toMatchObject({
          transport: 'ssh',
          tunnels: [{ name: 'ssh-tunnel', state: 'done' }],
          urls: ['https://127.0.0.1:8443'],
        });
        expect(await enrolment()).toBe(own);
        expect(await story.pair.server.tries('ip link show latchkey')).toBe(false);
        await opensFiles();
        expect((await tunnel('use', 'ssh', '--yes')).stdout).toContain('nothing to do');
        await story.pair.network.setUdp(true);
      },
      LONG,
    );

    it(
      'becomes both, and either is enough',
      async () => {
        await change('both');
        const { urls, transport } = await status();
        expect([transport, urls]).toEqual([
          'both',
          [expect.stringMatching(/^https:\/\/10\./), 'https://127.0.0.1:8443'],
        ]);
        await story.pair.network.setUdp(false);
        await opensFiles();
        await story.pair.network.setUdp(true);
        await story.pair.home.sh('systemctl stop latchkey-tunnel-cloud.service');
        await opensFiles();
        await story.pair.home.sh('systemctl start latchkey-tunnel-cloud.service');
      },
      LONG,
    );

    it(
      'becomes one over WireGuard again, and nothing of the other is left',
      async () => {
        await change('wireguard');
        expect(await status()).toMatchObject({
          transport: 'wireguard',
          tunnels: [{ name: 'wireguard', state: 'done' }],
        });
        for (const machine of [story.pair.home, story.pair.server]) {
          expect(await machine.tries('id latchkey-tunnel || ls /etc/latchkey-tunnel')).toBe(false);
        }
        await opensFiles();
        const { exit, stderr } = await story.teardown('--purge');
        expect(exit, stderr).toBe(0);
        // accounts that came and went leave the lists as they were, but written anew
        const lists = / \/etc\/(passwd|group|shadow|gshadow|subuid|subgid) /;
        expect(story.leftovers().filter((line) => !lists.test(line))).toEqual([]);
      },
      LONG,
    );
  },
);

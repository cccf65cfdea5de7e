import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cleanup } from '../harness/cleanup.ts';
import { listTrees } from '../harness/nextcloud-tree.ts';
import { lampWithRoom, SecondCloud } from './second-cloud.ts';
import { SetupStory, storyObstacle } from './setup-story.ts';

const tree = listTrees().at(-1);
const LONG = 900_000;
const CONFIG = '/root/blog.json';
const NOTE = 'a note of the blog\n';

/** Both are on one server, which is as good as two: each has a setup, a tunnel and a client of its own. */
describe.skipIf(process.env.LATCHKEY_THOROUGH !== '1' || storyObstacle(tree) !== null || tree === undefined)(
  'two Nextclouds whose keys are at one home, by SSH',
  () => {
    const cleanup = new Cleanup();
    let story: SetupStory;
    let blog: SecondCloud;

    const ncpatch = async (...words: readonly string[]) => {
      const { exit, stdout, stderr } = await story.pair.home.run(['ncpatch', ...words], { timeoutMs: LONG });
      return { exit, stdout: stdout.toString('utf8'), stderr };
    };
    const configure = (more: Readonly<Record<string, unknown>>): void => {
      const { home, login } = story.pair;
      const escrow = { passphraseFile: '/root/copy-passphrase' };
      const usual = { server: { ssh: login, ...blog.wish }, transport: 'ssh', client: 'blog', escrow };
      home.write(CONFIG, JSON.stringify({ ...usual, sshTunnel: { listen: 8444 }, skip: ['watch', 'doctor'], ...more }));
    };
    const clients = async (): Promise<string> =>
      story.pair.home.sh('runuser -u latchkey -- keyserver client list --json --data /var/lib/latchkey/keys');
    const stateOf = async () =>
      (
        JSON.parse(await clients()) as { clients: { name: string; id: string; state: string; from: string[] }[] }
      ).clients.map(({ name, state, from }) => [name, state, from.join()]);
    const readsBoth = async (): Promise<void> => {
      await story.forgetKeys();
      expect(await story.wrongFiles()).toEqual([]);
      expect(await blog.dav().get('note.txt')).toMatchObject({ status: 200, text: NOTE });
    };

    beforeAll(async () => {
      if (tree === undefined) return;
      story = await SetupStory.begin(tree, cleanup, lampWithRoom);
      story.configure({ transport: 'ssh', skip: ['watch', 'doctor'] });
      const { exit, stderr } = await story.setup();
      expect(exit, stderr).toBe(0);
      blog = await SecondCloud.install(story.pair.server);
      expect((await blog.dav().put('note.txt', NOTE)).status).toBe(201);
    }, LONG);
    afterAll(async () => expect(await cleanup.run()).toEqual([]), LONG);

    it.each<[string, Readonly<Record<string, unknown>>, string]>([
      [
        'under the name of the first',
        { client: 'cloud' },
        'has an SSH tunnel called cloud already, of another Nextcloud',
      ],
      ['by WireGuard', { transport: 'wireguard' }, 'listens at 127.0.0.1 alone'],
      ['at the port of the first', { sshTunnel: { listen: 8443 } }, 'where another SSH tunnel of Latchkey ends'],
    ])(
      'the second is refused %s, and the first goes on',
      async (_, change, words) => {
        const before = await stateOf();
        configure(change);
        const { exit, stderr } = await ncpatch('setup', '--yes', '--config', CONFIG);
        expect([exit, stderr]).toEqual([3, expect.stringContaining(words)]);
        expect(await stateOf()).toEqual(before);
        expect(await story.pair.home.sh('ls /etc/latchkey-tunnel/dials')).toBe('cloud\n');
        await readsBoth();
      },
      LONG,
    );

    it(
      'both have theirs there',
      async () => {
        configure({});
        const { exit, stderr } = await ncpatch('setup', '--yes', '--config', CONFIG);
        expect(exit, stderr).toBe(0);
        expect(await stateOf()).toEqual([
          ['blog', 'enrolled', '127.0.0.1/32'],
          ['cloud', 'enrolled', '127.0.0.1/32'],
        ]);
        await readsBoth();
        await story.pair.home.sh('systemctl stop latchkey-keyserver');
        await story.forgetKeys();
        expect((await blog.dav().get('note.txt')).status).not.toBe(200);
        await story.pair.home.sh('systemctl start latchkey-keyserver');
        await readsBoth();
      },
      LONG,
    );

    it(
      'the key server does not move away from either',
      async () => {
        const { exit, stderr } = await ncpatch('tunnel', 'use', 'wireguard', '--yes', '--config', '/root/setup.json');
        expect([exit, stderr]).toEqual([3, expect.stringContaining('is there for blog too')]);
        await readsBoth();
      },
      LONG,
    );

    it(
      'one is set up at a time',
      async () => {
        const { home } = story.pair;
        const first = ncpatch('setup', '--yes', '--config', '/root/setup.json');
        while (!(await home.tries('test -e /var/run/latchkey-setup.lock'))) await sleep(50);
        const second = await ncpatch('teardown', '--yes', '--config', CONFIG);
        expect([second.exit, second.stderr]).toEqual([
          3,
          expect.stringMatching(/root@home\S* \(process \d+\) is at work on this machine for root@\S+ since 20/),
        ]);
        expect((await first).exit).toBe(0);
        expect(await home.tries('test -e /var/run/latchkey-setup.lock')).toBe(false);
        await readsBoth();
      },
      LONG,
    );

    it(
      'neither does the other any harm by saying that it is the other one',
      async () => {
        const { server } = story.pair;
        const { clients: all } = JSON.parse(await clients()) as { clients: { name: string; id: string }[] };
        const id = (name: string): string => all.find((one) => one.name === name)?.id ?? '';
        const file = (await server.sh(`grep -lF ${id('blog')} /var/lib/latchkey/*/client.json`)).trim();
        const before = await stateOf();
        await server.sh(`cp -p ${file} /root/kept; sed -i s/${id('blog')}/${id('cloud')}/ ${file}`);
        for (const words of [
          ['setup', '--yes'],
          ['teardown', '--yes'],
          ['tunnel', 'use', 'both', '--yes'],
        ]) {
          const { exit, stderr } = await ncpatch(...words, '--config', CONFIG);
          expect([words[0], exit, stderr]).toEqual([
            words[0],
            3,
            expect.stringMatching(/says that it is the client \S+, and was enrolled from here as/),
          ]);
        }
        expect(await stateOf()).toEqual(before);
        await server.sh(`cp -p /root/kept ${file}; rm /root/kept`);
        await readsBoth();
      },
      LONG,
    );

    it(
      'one is taken back, and the other stays; then that one too, and nothing is left',
      async () => {
        const second = await ncpatch('teardown', '--yes', '--config', CONFIG);
        expect(second.exit, second.stderr).toBe(0);
        expect((await story.pair.home.sh('systemctl is-active latchkey-keyserver')).trim()).toBe('active');
        expect(await story.pair.home.sh('ls /etc/latchkey-tunnel/dials')).toBe('cloud\n');
        await readsBoth();
        expect(story.keysOnServer().filter((path) => !path.includes('/srv/blog/'))).toEqual([]);
        const first = await story.teardown();
        expect(first.exit, first.stderr).toBe(0);
        await readsBoth();
        for (const machine of [story.pair.home, story.pair.server]) {
          expect(await machine.tries('id latchkey-tunnel || ls /etc/latchkey-tunnel')).toBe(false);
        }
      },
      LONG,
    );
  },
);

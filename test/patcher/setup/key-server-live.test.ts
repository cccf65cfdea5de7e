import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Agreement } from '../../../patcher/setup/agreement.ts';
import type { SetupStep } from '../../../patcher/setup/setup-step.ts';
import { keyServerStep } from '../../../patcher/setup/steps/key-server-step.ts';
import type { Transport } from '../../../patcher/transports/transport.ts';
import { Cleanup } from '../../harness/cleanup.ts';
import { Machine } from '../../harness/hub-network.ts';
import { WholeMachine, wholeMachineObstacle } from '../../harness/whole-machine.ts';
import { installRelease } from '../../harness/whole-pair.ts';
import { agreedOn, contextOf, transportTo } from './key-server-world.ts';

const UNIT = '/etc/systemd/system/latchkey-keyserver.service';
const DATA = '/var/lib/latchkey/keys';
/** Everything that a setup may touch at home, but for what a running server writes. */
const STATE = `find /var/lib/latchkey /srv -printf '%M %u %p\\n' | grep -v -e keyserver.db -e /crl; getent passwd; getent group
ls /etc/systemd/system /etc/systemd/system/multi-user.target.wants; cat ${UNIT} 2>/dev/null; systemctl is-active latchkey-keyserver`;

/** The rest is as slow as it is rare. */
const thorough = process.env.LATCHKEY_THOROUGH === '1';

describe.skipIf(wholeMachineObstacle() !== null)('the key server of a setup', { timeout: 120_000 }, () => {
  const cleanup = new Cleanup();
  let home: WholeMachine;
  let transport: Transport;
  const program: [string] = ['/usr/local/bin/keyserver'];

  beforeAll(async () => {
    const unguard = cleanup.guard();
    cleanup.add('guard', unguard);
    const router = await Machine.start('router', '');
    cleanup.add('router', () => router.halt());
    const wire = { to: router, name: 'home', address: '192.168.77.2/24', gateway: '192.168.77.1' };
    home = WholeMachine.build('home', { wire, cleanup });
    await home.boot();
    await installRelease(home);
    await home.sh('userdel latchkey; rm -rf /var/lib/latchkey');
    transport = await transportTo('home', (argv) => home.inside(argv));
  }, 120_000);
  afterAll(async () => expect(await cleanup.run()).toEqual([]));

  function step(
    keyServer: Partial<Agreement['keyServer']> = {},
    keyserver: [string, ...string[]] = program,
  ): SetupStep {
    return keyServerStep(contextOf({ transport, platform: 'linux', keyserver }, agreedOn(keyServer)), 20_000);
  }
  const state = () => home.sh(`${STATE}; true`);
  const status = async () =>
    JSON.parse(await home.sh(`runuser -u latchkey -- keyserver status --json --data ${DATA}`)) as { health: string };

  it.each<[string, string, Partial<Agreement['keyServer']>, string, string]>([
    [
      'a directory with something else in it',
      'mkdir -p /srv/k && touch /srv/k/mine',
      { data: '/srv/k' },
      'data_taken',
      'rm -r /srv/k',
    ],
    [
      'a port at which something listens',
      'systemd-run --unit=door systemd-socket-activate --listen=8443 cat; until ss -ltn | grep -q :8443; do sleep 0.1; done',
      {},
      'port_taken',
      'systemctl stop door; until ! ss -ltn | grep -q :8443; do sleep 0.1; done',
    ],
    [
      'a service that runs another key server',
      `printf '[Service]\\nExecStart=/bin/true --data /srv/other\\n' >${UNIT}`,
      {},
      'service_taken',
      `rm ${UNIT}`,
    ],
  ])('refuses %s, and changes nothing', async (_, spoil, keyServer, code, mend) => {
    await home.sh(spoil);
    const before = await state();
    expect(await step(keyServer).look()).toMatchObject({ state: 'impossible', code });
    expect(await state()).toBe(before);
    await home.sh(mend);
  });

  it('refuses a program that the account could not read', async () => {
    await home.sh('cp /usr/local/bin/keyserver /root/keyserver');
    expect(await step({}, ['/root/keyserver']).look()).toMatchObject({
      state: 'impossible',
      code: 'program_unreadable',
    });
  });

  it('takes back what it had begun when it fails half-way: account, folders, key file', async () => {
    const before = await state();
    const failing = step({
      listen: { host: '192.168.77.2', port: 8443 },
      data: '/srv/a/b/keys',
      keyfile: '/srv/c/key',
    });
    await expect(failing.carryOut()).rejects.toMatchObject({
      code: 'home_refused',
      message: expect.stringContaining('192.168.77.2 is on eth0, which is not a WireGuard interface'),
      exit: 3,
    });
    expect(await state()).toContain('latchkey:x:');
    expect(await failing.undo()).toEqual([]);
    expect(await state()).toBe(before);
  });

  it('makes account, data and service, goes on where a run was cut off, and changes nothing when all is there', async () => {
    // an init that lost its power
    await home.sh(
      'mkdir -p -m 711 /var/lib/latchkey && mkdir /var/lib/latchkey/keys.being-made && touch /var/lib/latchkey/keys.being-made/vault.json',
    );
    const first = step();
    expect(await first.look()).toEqual({ state: 'missing' });
    expect(await first.plan()).toHaveLength(4);
    expect((await first.carryOut()).join('\n')).toMatch(
      /made the key server in .*\n.*keep a copy elsewhere\n.*starts it at boot$/,
    );
    expect(await status()).toMatchObject({ health: 'ok' });
    expect(await home.sh('ls -ld /var/lib/latchkey /var/lib/latchkey/*')).toMatch(
      /drwx--x--x .* root .*\/latchkey\ndrwx------ .* latchkey .*\/keys\n-rw------- .* latchkey .*\/keys.keyfile\n$/,
    );
    const [before, main] = [await state(), await home.sh('systemctl show -p MainPID latchkey-keyserver')];
    expect(await step().look()).toMatchObject({ state: 'done' });
    await step().carryOut();
    expect(await state()).toBe(before);
    expect(await home.sh('systemctl show -p MainPID latchkey-keyserver')).toBe(main);
  });

  it('answers again after a power cut', async () => {
    await home.cutPower();
    await home.boot();
    await expect.poll(async () => (await status()).health, { timeout: 30_000, interval: 500 }).toBe('ok');
  });

  it('refuses a key server that is there when it is not what was agreed on', async () => {
    expect(await step({ listen: { host: '127.0.0.1', port: 9443 } }).look()).toMatchObject({
      state: 'impossible',
      code: 'key_server_differs',
      words: expect.stringContaining('keyServer.port'),
    });
  });

  it.runIf(thorough)('mends a service that was taken away, stopped or forgotten at boot', async () => {
    const own = step();
    await home.sh(`systemctl disable --now latchkey-keyserver; rm ${UNIT}; systemctl daemon-reload`);
    expect(await own.look()).toEqual({ state: 'missing' });
    await own.carryOut();
    expect(await step().look()).toMatchObject({ state: 'done' });
    await home.sh('systemctl disable latchkey-keyserver');
    expect(await own.look()).toEqual({ state: 'missing' });
  });

  it.runIf(thorough)(
    'says where to look when what it started does not answer, and leaves a vault that was there',
    async () => {
      await home.sh(
        'systemctl stop latchkey-keyserver; cd /var/lib/latchkey; mv keys.keyfile kept; head -c 32 /dev/zero >keys.keyfile',
      );
      await home.sh('chmod 600 /var/lib/latchkey/keys.keyfile; chown latchkey: /var/lib/latchkey/keys.keyfile');
      const failing = keyServerStep(
        contextOf({ transport, platform: 'linux', keyserver: program }, agreedOn({})),
        2_000,
      );
      await expect(failing.carryOut()).rejects.toMatchObject({
        code: 'key_server_silent',
        hint: expect.stringContaining('journalctl'),
      });
      await failing.undo();
      await home.sh('cd /var/lib/latchkey; ls keys/vault.json; mv kept keys.keyfile');
      await step().carryOut();
      expect(await status()).toMatchObject({ health: 'ok' });
    },
  );

  it('takes the service away and no key, and the rest only when it is to be purged and is nobody else’s', async () => {
    await home.sh(`runuser -u latchkey -- keyserver client add other --from 127.0.0.1 --data ${DATA}`);
    expect(await step().planRemoval()).toHaveLength(2);
    expect(await step().takeAway({ purge: false })).toEqual([expect.stringContaining('they hold keys')]);
    expect(await home.tries(`test -e ${UNIT} || systemctl is-active --quiet latchkey-keyserver`)).toBe(false);
    expect(await home.sh('ls /var/lib/latchkey')).toBe('keys\nkeys.keyfile\n');
    expect(await step().planRemoval()).toEqual([]);

    const mark = (word: string) =>
      home.sh(
        `cd ${DATA} && sqlite3 keyserver.db "update client set state = '${word}'" 2>/dev/null || ${markByNode(word)}`,
      );
    await mark('enrolled');
    await expect(step().takeAway({ purge: true })).rejects.toMatchObject({ code: 'key_server_in_use', exit: 3 });
    expect(await home.sh('ls /var/lib/latchkey')).toBe('keys\nkeys.keyfile\n');
    await mark('revoked');
    expect(await step().takeAway({ purge: true })).toEqual([]);
    expect(await home.tries('test -e /var/lib/latchkey || getent passwd latchkey || getent group latchkey')).toBe(
      false,
    );
    expect(await step().takeAway({ purge: true })).toEqual([]);
  });
});

/** As an owner with tools would change the state of clients. */
function markByNode(word: string): string {
  const program = `new (require('node:sqlite').DatabaseSync)('keyserver.db').exec("update client set state = '${word}'")`;
  return `runuser -u latchkey -- /usr/local/bin/node -e '${program.replaceAll("'", `'\\''`)}'`;
}

import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import type { Enrolment, Facts } from '../../../patcher/facts.ts';
import { chooseClient, clientToRevoke } from '../../../patcher/setup/key-server/client-choice.ts';
import { misfitOf } from '../../../patcher/setup/key-server/fit.ts';
import { homeScript } from '../../../patcher/setup/key-server/home-script.ts';
import type { KeyServerListening, KnownClient } from '../../../patcher/setup/key-server/key-server-commands.ts';
import { servesData } from '../../../patcher/setup/key-server/served-data.ts';
import { keyServerStep } from '../../../patcher/setup/steps/key-server-step.ts';
import type { Transport } from '../../../patcher/transports/transport.ts';
import { SHELLS } from '../../harness/installer-machine.ts';
import { hasProgram } from '../../harness/programs.ts';
import { exampleFacts } from '../example-facts.ts';
import { agreedOn, contextOf, memoryOf } from './key-server-world.ts';

const wish = { name: 'cloud', urls: ['https://10.71.3.1:8443'], from: ['10.71.3.2/32'], memory: memoryOf() };
/** Of a machine that has set up others too. */
const others = [{ folder: '/root/blog.example-1234', clientId: 'lk-1', instanceId: 'ocother12345' }];
const waiting: KnownClient = {
  id: 'lk-1',
  name: 'cloud',
  state: 'new',
  killed: false,
  from: ['10.71.3.2/32'],
  keys: [],
  releasedAt: null,
  heardAt: null,
  presentAt: null,
};
const enrolled: KnownClient = { ...waiting, state: 'enrolled', heardAt: 1 };
const revoked: KnownClient = { ...enrolled, state: 'revoked' };
const enrolment = (changes: Partial<Enrolment> = {}): Enrolment => ({
  directory: '/var/lib/latchkey/oc1',
  clientId: 'lk-1',
  urls: wish.urls,
  keys: [],
  ...changes,
});

describe('chooseClient() for a Nextcloud that is not enrolled', () => {
  it.each<[string, Partial<KnownClient>, string]>([
    ['was heard', { heardAt: 1 }, 'client_taken'],
    ['has fetched a key', { releasedAt: 1 }, 'client_taken'],
    ['has sent a heartbeat', { presentAt: 1 }, 'client_taken'],
    ['has keys at home', { keys: ['master_1'] }, 'client_taken'],
    ['was stopped by its owner', { killed: true }, 'client_taken'],
    ['was locked', { state: 'locked' }, 'client_locked'],
  ])('leaves another one of that name alone that %s', (_, changes, code) => {
    const known = { ...waiting, state: 'enrolled' as const, ...changes };
    expect(chooseClient(wish, null, [known])).toMatchObject({ kind: 'refuse', code });
  });
  it('adds one where there is none of the name', () => {
    expect(chooseClient(wish, null, [{ ...enrolled, name: 'other' }])).toEqual({ kind: 'add', name: 'cloud' });
  });
  it.each<[string, KnownClient]>([
    ['waits for its code', waiting],
    ['never heard the answer to its code', { ...waiting, state: 'enrolled' }],
  ])('goes on with one that %s, so that there are not two', (_, known) => {
    expect(chooseClient(wish, null, [known])).toEqual({ kind: 'reset', id: 'lk-1', name: 'cloud' });
  });
  it('takes the next name after those of revoked ones', () => {
    const gone = (name: string, id: string) => ({ ...revoked, name, id });
    const two = [gone('cloud', 'lk-1'), gone('cloud-2', 'lk-2')];
    expect(chooseClient(wish, null, two)).toEqual({ kind: 'add', name: 'cloud-3' });
    const third = { ...waiting, name: 'cloud-3', id: 'lk-3' };
    expect(chooseClient(wish, null, [...two, third])).toEqual({ kind: 'reset', id: 'lk-3', name: 'cloud-3' });
  });
});

describe('chooseClient() under a name that is taken', () => {
  const anothers = { ...enrolled, id: 'lk-2', name: 'cloud-2', heardAt: null };
  const memory = memoryOf({ others: [{ folder: '/r/blog', clientId: 'lk-2', instanceId: 'ocother12345' }] });
  it('leaves alone whom another Nextcloud was just enrolled as', () => {
    const choice = { kind: 'add', name: 'cloud-3' };
    expect(chooseClient({ ...wish, memory }, null, [revoked, anothers])).toEqual(choice);
    expect(chooseClient({ ...wish, memory }, enrolment(), [revoked, anothers])).toEqual(choice);
    const was = memoryOf({
      others: [{ folder: '/r/b', clientId: 'lk-9', before: 'lk-2', instanceId: 'ocother12345' }],
    });
    expect(chooseClient({ ...wish, memory: was }, null, [revoked, anothers])).toEqual(choice);
  });
});

describe('chooseClient() for one that is', () => {
  it.each<[string, Partial<Enrolment>, readonly KnownClient[], string]>([
    ['at a key server that does not know it', { clientId: 'lk-9' }, [enrolled], 'enrolled_elsewhere'],
    ['at another address', { urls: ['https://10.9.9.9:8443'] }, [enrolled], 'enrolled_elsewhere'],
    ['as one that was locked', {}, [{ ...enrolled, state: 'locked' }], 'client_locked'],
    ['as one that was revoked while it has keys there', { keys: ['master_1'] }, [revoked], 'client_revoked'],
  ])('refuses one %s', (_, changes, clients, code) => {
    expect(chooseClient(wish, enrolment(changes), clients)).toMatchObject({ kind: 'refuse', code });
  });
  it.each<[string, Partial<typeof wish>, readonly KnownClient[]]>([
    ['one that was enrolled from here as another', { memory: memoryOf({ clientId: 'lk-7' }) }, [enrolled]],
    ['another one that was set up from here', { memory: memoryOf({ others }) }, [enrolled]],
    ['one that is called otherwise at home', {}, [{ ...enrolled, name: 'blog' }]],
    ['one that is called almost the same', {}, [{ ...enrolled, name: 'cloud-x' }]],
    ['one that was reset at home', {}, [{ ...waiting, name: 'blog' }]],
    ['one that was revoked', {}, [{ ...revoked, name: 'blog' }]],
  ])('does nothing for one that says it is %s', (_, changes, clients) => {
    expect(chooseClient({ ...wish, ...changes }, enrolment(), clients)).toMatchObject({
      kind: 'refuse',
      code: 'client_differs',
    });
  });
  it('has nothing to do for one that is known from its enrolment, whatever it is called by now', () => {
    const own = { ...wish, memory: memoryOf({ clientId: 'lk-1' }) };
    expect(chooseClient(own, enrolment(), [{ ...enrolled, name: 'nextcloud' }])).toEqual({ kind: 'done', id: 'lk-1' });
    expect(chooseClient(wish, enrolment(), [{ ...enrolled, name: 'cloud-2' }])).toEqual({ kind: 'done', id: 'lk-1' });
  });
  it('lets it speak from where it will, beside where it did', () => {
    const known = { ...enrolled, from: ['127.0.0.1/32'] };
    const choice = { kind: 'allow', id: 'lk-1', from: ['127.0.0.1/32', '10.71.3.2/32'] };
    expect(chooseClient(wish, enrolment(), [known])).toEqual(choice);
  });
  it('enrols it again as one that was reset, and as a new one after its revocation', () => {
    expect(chooseClient(wish, enrolment(), [waiting])).toMatchObject({ kind: 'reset', id: 'lk-1' });
    expect(chooseClient(wish, enrolment(), [revoked])).toEqual({ kind: 'add', name: 'cloud-2' });
  });
});

describe('clientToRevoke()', () => {
  it('is nobody where all are revoked, or of other names', () => {
    expect(
      clientToRevoke(wish, null, [revoked, { ...enrolled, name: 'cloud2' }, { ...enrolled, name: 'cloud-x' }], []),
    ).toBeNull();
    expect(clientToRevoke(wish, enrolment({ clientId: 'lk-9' }), [enrolled], [])).toBeNull();
  });
  it.each<[string, Partial<typeof wish>, readonly KnownClient[]]>([
    ['was enrolled as another', { memory: memoryOf({ clientId: 'lk-7' }) }, [enrolled]],
    ['is another that was set up from here', { memory: memoryOf({ others }) }, [enrolled]],
    ['is called otherwise', {}, [{ ...enrolled, name: 'blog' }]],
  ])('is nobody on the word of a server that %s: nothing is taken away then', (_, changes, clients) => {
    expect(() => clientToRevoke({ ...wish, ...changes }, enrolment(), clients, [])).toThrow(
      expect.objectContaining({ code: 'client_differs', exit: 3 }),
    );
  });
  it('is, where Nextcloud has forgotten it, the one that was enrolled from here, and none of another', () => {
    const second = { ...enrolled, name: 'cloud-2', id: 'lk-2' };
    const own = { ...wish, memory: memoryOf({ clientId: 'lk-2' }) };
    expect(clientToRevoke(own, null, [enrolled, second], [])?.id).toBe('lk-2');
    expect(clientToRevoke({ ...wish, memory: memoryOf({ others }) }, null, [enrolled, second], [])?.id).toBe('lk-2');
    expect(clientToRevoke({ ...wish, memory: memoryOf({ others }) }, null, [enrolled], [])).toBeNull();
  });
  it('is the one that Nextcloud says it is, or else the last of the name', () => {
    const second = { ...enrolled, name: 'cloud-2', id: 'lk-2' };
    expect(clientToRevoke(wish, enrolment(), [second, enrolled], [])?.id).toBe('lk-1');
    expect(clientToRevoke(wish, null, [revoked, second], [])?.id).toBe('lk-2');
  });
  it('is, by its name alone, none that has keys which this Nextcloud does not have', () => {
    const keeping = { ...enrolled, keys: ['master_1'] };
    expect(clientToRevoke(wish, null, [keeping], [])).toBeNull();
    expect(clientToRevoke(wish, null, [keeping], ['master_2.privateKey'])).toBeNull();
    expect(clientToRevoke(wish, null, [keeping], ['master_1.privateKey', 'pubShare_1.privateKey'])?.id).toBe('lk-1');
  });
});

describe('misfitOf()', () => {
  const { keyServer } = agreedOn({});
  const fitting: KeyServerListening = {
    listen: { host: '127.0.0.1', port: 8443 },
    hosts: ['127.0.0.1', 'localhost', 'more.example'],
    transport: 'tls',
  };
  it.each<[string, Partial<KeyServerListening>, string, string]>([
    ['another port', { listen: { host: '127.0.0.1', port: 9443 } }, 'keyfile', 'keyServer.port'],
    ['another address', { listen: { host: '10.71.3.1', port: 8443 } }, 'keyfile', 'keyServer.data'],
    ['a name less', { hosts: ['127.0.0.1'] }, 'keyfile', 'keyServer.data'],
    ['no TLS', { transport: 'plain-http' }, 'keyfile', 'keyServer.data'],
    ['a vault that asks for a passphrase', {}, 'passphrase', 'keyServer.keyfile'],
  ])('names the field for a key server with %s', (_, changes, sealedWith, field) => {
    expect(misfitOf(keyServer, { ...fitting, ...changes }, sealedWith)).toMatchObject({ field });
  });
  it('finds nothing in one that fits, with more names', () => {
    expect(misfitOf(keyServer, fitting, 'keyfile')).toBeNull();
  });
});

describe('servesData()', () => {
  it.each([
    ['of another directory', '"start" "--data" "/var/lib/latchkey/keys2" "--keyfile" "/k"'],
    [
      'whose key file alone is named so',
      'ExecStart=keyserver start --data /x --keyfile /var/lib/latchkey/keys.keyfile',
    ],
    ['that is not there', null],
  ])('is false for a service %s', (_, text) => {
    expect(servesData(text, '/var/lib/latchkey/keys')).toBe(false);
  });
  it.each([
    '"start" "--data" "/var/lib/latchkey/keys" "--keyfile" "/k"',
    '    <string>--data</string>\n    <string>/var/lib/latchkey/keys</string>',
    'ExecStart=keyserver start --data /var/lib/latchkey/keys --keyfile /k\n',
  ])('is true for %j', (text) => {
    expect(servesData(text, '/var/lib/latchkey/keys')).toBe(true);
  });
});

interface Canned {
  readonly look?: Readonly<Record<string, string>>;
  readonly service?: string;
  readonly status?: Readonly<Record<string, unknown>>;
  readonly platform?: 'linux' | 'macos';
  readonly keyServer?: Parameters<typeof agreedOn>[0];
  readonly clients?: readonly KnownClient[];
  readonly memory?: Parameters<typeof memoryOf>[0];
  /** Of the Nextcloud that the step is told of. */
  readonly facts?: Partial<Facts>;
}

/** The step at a machine that answers as it is told, and must not be changed. */
function stepAt({ look, service, status, platform = 'linux', keyServer = {}, clients: known = [], ...more }: Canned) {
  const usual = { account: 'yes', data: 'none', keyfile: 'no', manager: 'systemd', enabled: 'no', active: 'no' };
  const facts = { ...usual, taken: 'no', starts: 'yes', ...look };
  const lines = Object.entries(facts).map(([name, value]) => `${name} ${value}\n`);
  const listening = { listen: { host: '127.0.0.1', port: 8443 }, hosts: ['127.0.0.1', 'localhost'], transport: 'tls' };
  const clients = { new: 0, enrolled: 0, locked: 0, revoked: 0 };
  const answers: Record<string, string> = {
    look: `${lines.join('')}service ${service === undefined ? 'no\n' : `yes\n${service}`}`,
    status: JSON.stringify({ health: 'ok', sealedWith: 'keyfile', clients, keys: 0, ...status }),
    listen: JSON.stringify(listening),
    client: JSON.stringify({ clients: known }),
  };
  const transport = {
    run: async (argv: readonly string[]) => {
      const word = argv[7] === 'do' ? argv[9] : argv[7];
      const answer = answers[word ?? ''];
      if (answer === undefined) throw new Error(`${word} was not to be run`);
      return { exit: 0, stdout: Buffer.from(answer), stderr: '' };
    },
  } as unknown as Transport;
  return keyServerStep(
    contextOf({ transport, platform, keyserver: ['/usr/local/bin/keyserver'] }, agreedOn(keyServer), {
      facts: async () => exampleFacts({ enrolment: null, ...more.facts }),
      memory: memoryOf(more.memory),
    }),
  );
}
const DATA = '/var/lib/latchkey/keys';
const unit = `ExecStart="/n" "start" "--data" "${DATA}"\n`;
const running = { data: 'server', keyfile: 'yes', enabled: 'yes', active: 'yes' };

describe('keyServerStep() looks, and', () => {
  it.each<[string, Canned, string, string]>([
    ['nothing starts programs at boot', { look: { manager: 'none' } }, 'no_service_manager', `start --data ${DATA}`],
    ['a Mac has no account', { look: { account: 'no' }, platform: 'macos' }, 'account_missing', 'install.sh'],
    [
      'its data is whose account is gone',
      { look: { ...running, account: 'no' } },
      'account_missing',
      'keyServer.account',
    ],
    ['its data would be hidden from a service', { keyServer: { data: '/tmp/keys' } }, 'under_tmp', 'another place'],
    ['its key file would', { keyServer: { keyfile: '/var/tmp/key' } }, 'under_tmp', 'another place'],
    [
      'its vault wants a passphrase, and it does not run',
      { look: running, service: unit, status: { sealedWith: 'passphrase', health: 'not running' } },
      'key_server_differs',
      'rekey',
    ],
    [
      'its disk is full',
      { look: running, service: unit, status: { health: 'degraded' } },
      'key_server_unwell',
      'keyserver doctor',
    ],
    [
      'another program answers for it',
      { look: running, service: unit, status: { health: 'another program answers there' } },
      'port_taken',
      'end what listens',
    ],
    [
      'another program is silent there',
      { look: { ...running, active: 'no', taken: 'yes' }, service: unit, status: { health: 'not running' } },
      'port_taken',
      'end what listens',
    ],
  ])('refuses where %s', async (_, canned, code, hint) => {
    const found = await stepAt(canned).look();
    expect(found).toMatchObject({ state: 'impossible', code, hint: expect.stringContaining(hint) });
    await expect(stepAt(canned).carryOut()).rejects.toMatchObject({ code, exit: 3 });
  });

  it.each<[string, Canned, string]>([
    ['by its service', { look: running, service: unit }, 'answers at 127.0.0.1:8443'],
    [
      'while its releases are stopped',
      { look: running, service: unit, status: { health: 'killed' } },
      'keyserver revive',
    ],
    ['by something else', { look: { ...running, enabled: 'no' } }, 'see that something does'],
    [
      'on a machine without services',
      { look: { ...running, manager: 'none', enabled: 'no' } },
      'see that something does',
    ],
    [
      'with a vault that is opened otherwise',
      { look: running, service: unit, status: { sealedWith: 'credential' } },
      'answers at',
    ],
  ])('is content with one that runs %s', async (_, canned, words) => {
    expect(await stepAt(canned).look()).toEqual({ state: 'done', words: expect.stringContaining(words) });
    expect(await stepAt(canned).carryOut()).toHaveLength(1);
  });

  it.each<[string, Canned]>([
    ['nothing is there', {}],
    ['it runs, but would not at the next boot', { look: { ...running, enabled: 'no' }, service: unit }],
    ['it does not run', { look: { ...running, active: 'no' }, service: unit, status: { health: 'not running' } }],
  ])('has something to do where %s', async (_, canned) => {
    expect(await stepAt(canned).look()).toEqual({ state: 'missing' });
  });

  it('does not purge a key server that something else keeps running', async () => {
    const step = stepAt({ look: { ...running, enabled: 'no' } });
    await expect(step.takeAway({ purge: true })).rejects.toMatchObject({ code: 'key_server_runs', exit: 3 });
  });
});

describe('keyServerStep() takes away', () => {
  const there = { look: running, service: unit };
  const ours: KnownClient = { ...enrolled, keys: ['master_1'] };
  const other: KnownClient = { ...ours, id: 'lk-2', name: 'other', keys: ['master_2'] };
  it('no service that another Nextcloud needs, whatever ours is called', async () => {
    for (const clients of [[other], [ours, other], [{ ...other, name: 'cloud' }]]) {
      expect(await stepAt({ ...there, clients }).planRemoval()).toEqual([]);
      expect(await stepAt({ ...there, clients }).takeAway({ purge: false })).toEqual([
        expect.stringContaining('other clients need it'),
      ]);
    }
  });
  it('the service that ours alone needs', async () => {
    for (const enrolled of [null, enrolment()]) {
      const scene = { ...there, clients: [ours, { ...other, state: 'revoked' as const }] };
      expect(await stepAt({ ...scene, facts: { enrolment: enrolled } }).planRemoval()).toHaveLength(2);
    }
  });
  it('no key that is not on the disk of this Nextcloud, whoever was revoked', async () => {
    const clients = [
      { ...ours, state: 'revoked' as const },
      { ...other, state: 'revoked' as const },
    ];
    await expect(stepAt({ ...there, clients }).takeAway({ purge: true })).rejects.toMatchObject({
      code: 'keys_on_key_server',
      exit: 3,
      message: expect.stringContaining('master_2 of other'),
    });
  });
  it('nothing, and gives no address, where another Nextcloud is there first', async () => {
    const scene = { ...there, keyServer: { listen: { host: '10.71.203.1', port: 8443 } } };
    for (const clients of [[other], [ours, other], [{ ...other, state: 'locked' as const }]]) {
      expect(await stepAt({ ...scene, clients }).look()).toMatchObject({
        state: 'impossible',
        code: 'key_server_in_use',
        words: expect.stringContaining('for other already'),
      });
    }
    for (const clients of [[], [ours], [{ ...other, state: 'revoked' as const }]]) {
      expect(await stepAt({ ...scene, clients }).look()).toMatchObject({ code: 'key_server_differs' });
    }
  });
  it('no key of another, though the server says that it has it on its disk', async () => {
    const clients = [{ ...other, state: 'revoked' as const }];
    const { encryption } = exampleFacts({});
    const facts = { encryption: { ...encryption, privateKeys: ['master_2.privateKey'] } };
    await expect(stepAt({ ...there, clients, facts }).takeAway({ purge: true })).rejects.toMatchObject({
      code: 'keys_on_key_server',
      exit: 3,
    });
  });
  it('no key of a client that is only called alike, where it is known who was invited from here', async () => {
    const alike = { ...other, name: 'cloud-2' };
    const { encryption } = exampleFacts({});
    const facts = { encryption: { ...encryption, privateKeys: ['master_2.privateKey'] } };
    const scene = { ...there, facts, memory: { clientId: ours.id } };
    const clients = [{ ...alike, state: 'revoked' as const }];
    await expect(stepAt({ ...scene, clients }).takeAway({ purge: true })).rejects.toMatchObject({
      code: 'keys_on_key_server',
      message: expect.stringContaining('master_2 of cloud-2'),
    });
    const keyServer = { listen: { host: '10.71.203.1', port: 8443 } };
    expect(await stepAt({ ...scene, keyServer, clients: [ours, alike] }).look()).toMatchObject({
      code: 'key_server_in_use',
      words: expect.stringContaining('for cloud-2 already'),
    });
    const before = { ...scene.memory, before: alike.id };
    expect(await stepAt({ ...scene, keyServer, clients: [ours, alike], memory: before }).look()).toMatchObject({
      code: 'key_server_differs',
    });
  });
  it('nothing on the word of a server that says it is the client of another', async () => {
    const facts = { enrolment: enrolment({ clientId: other.id }) };
    const step = stepAt({ ...there, clients: [other], facts });
    await expect(step.planRemoval()).rejects.toMatchObject({ code: 'client_differs', exit: 3 });
  });
});

describe('at-home.sh', () => {
  it.each(Object.entries(SHELLS))('is understood by %s', (_, shell) => {
    if (!hasProgram(shell[0])) return;
    expect(spawnSync(shell[0], [...shell.slice(1), '-n'], { input: homeScript(), encoding: 'utf8' }).stderr).toBe('');
  });
  it.runIf(hasProgram('shellcheck'))('has nothing that shellcheck would say', () => {
    expect(spawnSync('shellcheck', ['-s', 'sh', '-'], { input: homeScript(), encoding: 'utf8' }).stdout).toBe('');
  });
});

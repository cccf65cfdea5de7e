import { expect, test } from 'vitest';
import type { ClientMemory } from '../../../patcher/setup/client-memory.ts';
import type { SetupContext } from '../../../patcher/setup/setup-step.ts';
import { switchTransport } from '../../../patcher/setup/ssh-tunnel/switch.ts';
import type { Transport } from '../../../patcher/transports/transport.ts';
import { exampleFacts } from '../example-facts.ts';
import { agreedOn, contextOf, memoryOf } from './key-server-world.ts';

const ANOTHERS = 'lk-2';
const times = { releasedAt: null, heardAt: 1, presentAt: null };
const client = {
  id: ANOTHERS,
  name: 'blog',
  state: 'enrolled',
  killed: false,
  from: ['10.9.9.9/32'],
  keys: [],
  ...times,
};

/** A machine at home with a key server that tells its clients, and is asked nothing else. */
function home(asked: string[]): Transport {
  const run = async (argv: readonly string[]) => {
    asked.push(argv.slice(8, 11).join(' '));
    return { exit: 0, stdout: Buffer.from(JSON.stringify({ clients: [client] })), stderr: '' };
  };
  return { label: 'home', run } as unknown as Transport;
}

function contextAt(host: string, asked: string[], more: Partial<SetupContext>): SetupContext {
  const keyServer = agreedOn({ listen: { host, port: 8443 } });
  const machine = { transport: home(asked), platform: 'linux', keyserver: ['keyserver'] } as const;
  return contextOf(machine, keyServer, more);
}

test('the key server does not move away from another Nextcloud that asks it where it is', async () => {
  const asked: string[] = [];
  const facts = async () => exampleFacts({ enrolment: null });
  const order = {
    before: contextAt('127.0.0.1', asked, { facts }),
    after: contextAt('10.71.203.1', asked, { facts }),
    tunnels: () => Promise.reject(new Error('asked for')) as never,
    remember: () => Promise.reject(new Error('remembered')) as never,
  };
  await expect(switchTransport(order)).rejects.toMatchObject({
    code: 'key_server_in_use',
    exit: 3,
    message: expect.stringContaining('blog'),
  });
});

test.each<[string, Partial<ClientMemory>]>([
  ['is called otherwise there', {}],
  ['is not the one that was invited from here', { clientId: 'lk-1' }],
  ['was set up from here as another', { others: [{ folder: '/r/blog', clientId: ANOTHERS, instanceId: 'ocother' }] }],
])('the way of a Nextcloud is not changed on its word that it is a client which %s', async (_, known) => {
  const asked: string[] = [];
  const enrolment = { directory: '/x', clientId: ANOTHERS, urls: ['https://127.0.0.1:8443'], keys: [] };
  const context = contextAt('127.0.0.1', asked, {
    facts: async () => exampleFacts({ enrolment }),
    memory: memoryOf(known),
  });
  const done: string[] = [];
  const order = {
    before: context,
    after: context,
    tunnels: () => {
      done.push('tunnels');
      return [];
    },
    remember: () => void done.push('remember'),
  };
  await expect(switchTransport(order)).rejects.toMatchObject({ code: 'client_differs', exit: 3 });
  expect([done, asked]).toEqual([[], ['keyserver client list']]);
});

import type { Command } from 'commander';
import type { Agreement } from '../../../patcher/setup/agreement.ts';
import type { ClientMemory } from '../../../patcher/setup/client-memory.ts';
import type { HomeMachine } from '../../../patcher/setup/home-machine.ts';
import { parseSetup, type SetupWish } from '../../../patcher/setup/setup-config.ts';
import type { SetupContext } from '../../../patcher/setup/setup-step.ts';
import { loginToTarget } from '../../../patcher/transports/target-login.ts';
import type { Transport } from '../../../patcher/transports/transport.ts';
import type { CommandIo } from '../../../platform/command-io.ts';
import { run } from '../../../platform/run.ts';
import type { Argv } from '../../harness/background-process.ts';
import { runCommand } from '../../keyserver/command-runner.ts';

/** What a transport of ncpatch makes of a way to run commands as root. */
export function transportTo(label: string, inside: (argv: Argv) => Argv): Promise<Transport> {
  return loginToTarget({
    label,
    exec: (argv, options) => run(inside(argv), { ...options, allowExit: 'any' }),
    sudo: false,
    prompter: null,
    close: async () => undefined,
  });
}

/** A transport by which the key server's commands run in this process, many times quicker than in one of their own. */
export function commandsWithin(
  transport: Transport,
  addCommands: (program: Command, io: CommandIo) => void,
): Transport {
  const runWithin: Transport['run'] = async (argv, options) => {
    const [shell, , , , , , , order, program, ...words] = argv;
    if (shell !== 'sh' || order !== 'do' || program !== 'keyserver') return transport.run(argv, options);
    const { exit, stdout, stderr } = await runCommand(addCommands, words);
    return { exit, stdout: Buffer.from(stdout), stderr };
  };
  return new Proxy(transport, {
    get: (target, name) => (name === 'run' ? runWithin : Reflect.get(target, name, target)),
  });
}

/** On loopback, where nothing has to be there first. */
export function agreedOn(keyServer: Partial<Agreement['keyServer']>): Agreement {
  const usual: Agreement['keyServer'] = {
    listen: { host: '127.0.0.1', port: 8443 },
    hosts: ['127.0.0.1', 'localhost'],
    urls: ['https://127.0.0.1:8443'],
    from: ['127.0.0.1/32'],
    data: '/var/lib/latchkey/keys',
    keyfile: '/var/lib/latchkey/keys.keyfile',
    account: 'latchkey',
  };
  return { wireguard: null, sshTunnel: null, keyServer: { ...usual, ...keyServer } };
}

/** Of a machine that has set nothing up yet, unless told; kept nowhere. */
export function memoryOf(known: Partial<ClientMemory> = {}): ClientMemory {
  let { clientId = null, before = null } = known;
  return {
    instanceId: 'oc1234567890',
    others: [],
    file: '/root/known.json',
    ...known,
    get clientId() {
      return clientId;
    },
    get before() {
      return before;
    },
    remember: (id, earlier = null) => {
      clientId = id;
      before = earlier === id ? null : earlier;
    },
    forget: () => {
      clientId = null;
      before = null;
    },
  };
}

/** What steps at home are handed; whatever else they ask for is not there. */
export function contextOf(
  home: HomeMachine,
  agreed: Agreement,
  { wish, ...more }: Partial<SetupContext> & { readonly wish?: Partial<SetupWish> } = {},
): SetupContext {
  const config = parseSetup({ server: { ssh: 'root@cloud.example' }, transport: 'ssh', ...wish }, '/');
  const given = {
    config,
    agreed,
    home,
    memory: memoryOf(),
    progress: { step: () => undefined, note: () => undefined },
    now: () => Date.now(),
    ...more,
  };
  return new Proxy(given as SetupContext, {
    get: (target, name) => {
      if (name in target) return target[name as keyof SetupContext];
      throw new Error(`a step asked for "${String(name)}"`);
    },
  });
}

import { LatchkeyError } from '../platform/errors.ts';
import type { Facts, HookName } from './facts.ts';
import { withCore } from './hooks/core-facts.ts';
import { type FoundInstance, findInstances, openInstance } from './targets/instance-choice.ts';
import type { Instance } from './targets/target.ts';
import { openLocalTransport } from './transports/local-transport.ts';
import type { Prompter } from './transports/prompter.ts';
import { parseSshTarget } from './transports/ssh-target.ts';
import type { Transport } from './transports/transport.ts';

/** Which server, and which Nextcloud on it, as the command line says. */
export interface WorkOptions {
  readonly ssh?: string;
  readonly local?: boolean;
  readonly sudo?: boolean;
  readonly identity?: string;
  readonly knownHosts?: string;
  readonly acceptHostKey?: string;
  readonly root?: string;
  readonly container?: string;
  readonly php?: string;
  readonly hook?: HookName;
}

/** One Nextcloud within reach. */
export interface Workplace {
  readonly instance: Instance;
  /** Asked of config.php itself, so that it works where occ does not. */
  instanceId(): Promise<string>;
  /** The hook that the command line names, if it does. */
  readonly hook?: HookName;
  /** Looks anew each time. */
  facts(): Promise<Facts>;
  close(): Promise<void>;
}

export interface Surroundings {
  readonly prompter: Prompter | null;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Connects to the machine; exactly one of `--ssh` and `--local` says which. */
export async function connect(options: WorkOptions, around: Surroundings): Promise<Transport> {
  const { ssh, local, sudo = false } = options;
  if ((ssh === undefined) === (local !== true)) {
    throw new LatchkeyError('usage', 'exactly one of "--ssh user@host" and "--local" must be given', { exit: 2 });
  }
  if (ssh === undefined) return openLocalTransport({ sudo, prompter: around.prompter });
  const { openSshTransport } = await import('./transports/ssh-transport.ts'); // ssh2 takes a while to load
  const agent = around.env.SSH_AUTH_SOCK;
  return openSshTransport({
    target: parseSshTarget(ssh),
    sudo,
    prompter: around.prompter,
    ...(agent === undefined || agent === '' ? {} : { agent }),
    ...(options.identity === undefined ? {} : { identity: options.identity }),
    ...(options.knownHosts === undefined ? {} : { knownHosts: [options.knownHosts] }),
    ...(options.acceptHostKey === undefined ? {} : { acceptHostKey: options.acceptHostKey }),
  });
}

/** Connects and opens the one Nextcloud that is meant. */
export async function openWorkplace(options: WorkOptions, around: Surroundings): Promise<Workplace> {
  const transport = await connect(options, around);
  try {
    const { target, instance } = await openInstance(transport, {
      ...(options.root === undefined ? {} : { root: options.root }),
      ...(options.container === undefined ? {} : { container: options.container }),
      ...(options.php === undefined ? {} : { php: options.php }),
    });
    return {
      instance,
      instanceId: () => readInstanceId(instance.files, instance.configFile),
      ...(options.hook === undefined ? {} : { hook: options.hook }),
      facts: async () => withCore(instance, await target.facts(instance), options.hook ?? null, new Date()),
      close: () => transport.close(),
    };
  } catch (error) {
    await transport.close();
    throw error;
  }
}

/** grep picks the one value, so that the secrets beside it stay on the server. */
async function readInstanceId(transport: Transport, configFile: string): Promise<string> {
  const pattern = "^[[:space:]]*'instanceid'[[:space:]]*=>[[:space:]]*'[a-z0-9]{6,64}',[[:space:]]*$";
  const result = await transport.run(['grep', '-hE', '-m', '1', '-e', pattern, '--', configFile]);
  const found = /'([a-z0-9]{6,64})',\s*$/.exec(result.stdout.toString('utf8'))?.[1];
  if (found === undefined) {
    throw new LatchkeyError('instance_id_unknown', `"instanceid" was not found in ${configFile}`, {
      hint: 'occ config:system:get instanceid must print it',
    });
  }
  return found;
}

/** Every Nextcloud on the machine, opened or not. */
export async function listInstances(options: WorkOptions, around: Surroundings): Promise<readonly FoundInstance[]> {
  const transport = await connect(options, around);
  try {
    return await findInstances(transport, options.root, options.container);
  } finally {
    await transport.close();
  }
}

import { LatchkeyError } from '../../../platform/errors.ts';
import { authorityOf } from '../../../platform/listening/listen-address.ts';
import type { RunResult } from '../../transports/transport.ts';
import type { SetupContext } from '../setup-step.ts';
import { homeScript } from './home-script.ts';

/** What has to be known of the machine at home and of what was agreed on. */
export type HomeScene = Pick<SetupContext, 'home' | 'agreed'>;

/** What is found at home of a key server, and of what it would need. */
export interface HomeLook {
  readonly account: boolean;
  /** `none`: not there, or empty; `other`: something that is no key server's. */
  readonly data: 'none' | 'server' | 'other';
  readonly keyfile: boolean;
  /** Whoever starts programs at boot. */
  readonly manager: 'systemd' | 'launchd' | 'none';
  readonly enabled: boolean;
  readonly active: boolean;
  /** Whether something listens at the address that was agreed on. */
  readonly taken: boolean;
  /** Whether the account, or else one that may do as little, can run the program. */
  readonly starts: boolean;
  /** Text of the service file. */
  readonly service: string | null;
}

/** What a run has made, and may take back; a folder is named with its path. */
export type MadePart = 'account' | 'keyfile' | 'data' | 'service' | `folder ${string}`;

const MAKE_MS = 180_000;

/** Changes nothing. */
export async function lookAtHome(scene: HomeScene): Promise<HomeLook> {
  const { host, port } = scene.agreed.keyServer.listen;
  const { stdout } = await order(scene, ['look', host, String(port), ...scene.home.keyserver]);
  const [, lines = '', service = null] =
    /^([\s\S]*?)^service (?:no|yes\n([\s\S]*))$/m.exec(stdout.toString('utf8')) ?? [];
  const facts = new Map(lines.split('\n').map((line) => line.split(' ', 2) as [string, string]));
  const isYes = (name: string): boolean => facts.get(name) === 'yes';
  return {
    account: isYes('account'),
    data: oneOf(facts.get('data'), ['none', 'server', 'other']),
    keyfile: isYes('keyfile'),
    manager: oneOf(facts.get('manager'), ['systemd', 'launchd', 'none']),
    enabled: isYes('enabled'),
    active: isYes('active'),
    taken: isYes('taken'),
    starts: isYes('starts'),
    service,
  };
}

/** Makes what is not there yet of account, key file and data directory; `made` is told of each part as soon as it is there. */
export async function makeAtHome(scene: HomeScene, made: (part: MadePart) => void): Promise<void> {
  const { listen, hosts } = scene.agreed.keyServer;
  const words = [authorityOf(listen.host, listen.port), hosts.join(' '), ...scene.home.keyserver];
  await telling(await script(scene, ['make', ...words], MAKE_MS), made);
}

/** Has the service run as `text` says, now and at boot. */
export async function serveAtHome(scene: HomeScene, text: string, made: (part: MadePart) => void): Promise<void> {
  await telling(await script(scene, ['serve', text.replace(/\n$/, '')], MAKE_MS), made);
}

/** Whether the service was refused for good, so that waiting for it is in vain. */
export async function hasGivenUp(scene: HomeScene): Promise<boolean> {
  return (await order(scene, ['running'])).stdout.toString('utf8').includes('givenUp yes\n');
}

/** Stops the service and takes it away; nothing there is fine. */
export async function unserveAtHome(scene: HomeScene): Promise<void> {
  await order(scene, ['unserve'], MAKE_MS);
}

/** Takes one part away, or what was begun of data directory and key file; an account that was not made here stays. */
export async function removeAtHome(scene: HomeScene, part: MadePart | 'begun'): Promise<void> {
  if (part === 'service') return unserveAtHome(scene);
  const words = part.startsWith('folder ') ? ['folder', part.slice('folder '.length)] : [part];
  await order(scene, ['remove', ...words], MAKE_MS);
}

/** Runs a command at home as the key server's account; any exit status is an answer. */
export function runAsAccount(scene: HomeScene, argv: readonly string[], timeoutMs?: number): Promise<RunResult> {
  return script(scene, ['do', ...argv], timeoutMs);
}

async function order(scene: HomeScene, words: readonly string[], timeoutMs?: number): Promise<RunResult> {
  const result = await script(scene, words, timeoutMs);
  if (result.exit !== 0) throw refusal(result);
  return result;
}

async function script({ home, agreed }: HomeScene, words: readonly string[], timeoutMs?: number): Promise<RunResult> {
  const { account, data, keyfile } = agreed.keyServer;
  return home.transport.run(['sh', '-s', '--', home.platform, account, data, keyfile, ...words], {
    input: homeScript(),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
}

function telling(result: RunResult, made: (part: MadePart) => void): void {
  for (const [, part] of result.stdout
    .toString('utf8')
    .matchAll(/^made (account|keyfile|data|service|folder \/.*)$/gm)) {
    made(part as MadePart);
  }
  if (result.exit !== 0) throw refusal(result);
}

/** Words of our own script or program: the last error that it told. */
function refusal({ exit, stderr }: RunResult): LatchkeyError {
  const last = (pattern: RegExp): string | undefined => [...stderr.matchAll(pattern)].at(-1)?.[1]?.slice(0, 500);
  const hint = last(/^(?:keyserver: )?hint: (.*)$/gm);
  const message = last(/^(?:keyserver: )?error: (.*)$/gm) ?? `what was run at home ended with exit code ${exit}`;
  return new LatchkeyError('home_refused', `at home: ${message}`, {
    ...(exit === 3 ? { exit: 3 } : {}),
    ...(hint === undefined ? {} : { hint }),
    extra: { exit, stderr: stderr.slice(-4096) },
  });
}

function oneOf<T extends string>(text: string | undefined, known: readonly T[]): T {
  const found = known.find((one) => one === text);
  if (found === undefined)
    throw new LatchkeyError('home_unknown', 'the machine at home answered in a form that is not known');
  return found;
}

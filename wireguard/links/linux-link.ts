import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { isLatchkeyError, LatchkeyError } from '../../platform/errors.ts';
import { run } from '../../platform/run.ts';
import { formatPrefix, parsePrefix } from '../address/prefix.ts';
import type { LinkChoice } from './link-choice.ts';

/** An interface as Linux is to have it. */
export interface WantedLink {
  readonly name: string;
  readonly choice: LinkChoice;
  readonly addresses: readonly string[];
  /** `null` leaves it to the system. */
  readonly mtu: number | null;
  /** Networks behind peers, which go to the interface too. */
  readonly routes: readonly string[];
  /** Words before each command, such as `ip netns exec NAME`. */
  readonly inside?: readonly string[];
}

const TIMEOUT_MS = 10_000;
/** How long a program may take until its control socket is there. */
const START_TRIES = 100;

const addressSchema = z.array(
  z.object({
    mtu: z.int().optional(),
    flags: z.array(z.string()).optional(),
    addr_info: z.array(z.object({ local: z.string(), prefixlen: z.int(), scope: z.string().optional() })).optional(),
  }),
);

/**
 * Makes the interface when it is not there, gives it what it lacks, and takes what it should not have: addresses and MTU; then
 * sets it up and adds its routes. Twice in a row changes nothing. True when it was made anew, so that it has neither key nor peers.
 * Throws `link_not_made` with what the system said to it in `extra.stderr`.
 */
export async function ensureLink(link: WantedLink): Promise<boolean> {
  const before = await readLink(link);
  if (before === null) await makeLink(link);
  const state = before ?? (await readLink(link));
  if (state === null)
    throw new LatchkeyError('link_not_made', `the interface ${link.name} was made and is not there`, { status: 503 });
  const wanted = link.addresses.map((text) => formatPrefix(parsePrefix(text, 'addresses')));
  for (const address of wanted.filter((one) => !state.addresses.includes(one))) {
    await ip(link, ['address', 'add', address, 'dev', link.name]);
  }
  for (const address of state.addresses.filter((one) => !wanted.includes(one))) {
    await ip(link, ['address', 'delete', address, 'dev', link.name]);
  }
  if (link.mtu !== null && state.mtu !== link.mtu) await ip(link, ['link', 'set', link.name, 'mtu', String(link.mtu)]);
  if (!state.isUp) await ip(link, ['link', 'set', link.name, 'up']);
  for (const route of link.routes) await ip(link, ['route', 'replace', route, 'dev', link.name]);
  return before === null;
}

/** Takes the interface away; one that is not there is no error. */
export async function removeLink(link: Pick<WantedLink, 'name' | 'inside'>): Promise<void> {
  if ((await readLink(link)) !== null) await ip(link, ['link', 'delete', link.name]);
}

interface LinkState {
  readonly addresses: readonly string[];
  readonly mtu: number | null;
  readonly isUp: boolean;
}

async function readLink(link: Pick<WantedLink, 'name' | 'inside'>): Promise<LinkState | null> {
  const { exit, stdout } = await call(link, ['ip', '-json', 'address', 'show', 'dev', link.name]);
  if (exit !== 0) return null;
  const [shown] = addressSchema.parse(JSON.parse(stdout));
  if (shown === undefined) return null;
  const own = (shown.addr_info ?? []).filter(({ scope }) => scope !== 'link');
  return {
    addresses: own.map(({ local, prefixlen }) => formatPrefix(parsePrefix(`${local}/${prefixlen}`, 'addresses'))),
    mtu: shown.mtu ?? null,
    isUp: shown.flags?.includes('UP') === true,
  };
}

async function makeLink(link: WantedLink): Promise<void> {
  const { program, driver } = link.choice;
  if (program === null) {
    await ip(link, ['link', 'add', link.name, 'type', driver === 'awg' ? 'amneziawg' : 'wireguard']);
    return;
  }
  // it goes into the background by itself, and lives on when the hub ends: a restart of the hub cuts nobody off
  const started = await call(link, [program, link.name]);
  if (started.exit !== 0) throw failed(link.name, `${program} could not make the interface`, started.stderr);
  for (let tries = 0; (await readLink(link)) === null; tries++) {
    if (tries === START_TRIES) throw failed(link.name, `${program} was started and made no interface`, started.stderr);
    await sleep(20);
  }
}

async function ip(link: Pick<WantedLink, 'name' | 'inside'>, args: readonly string[]): Promise<void> {
  const { exit, stderr } = await call(link, ['ip', ...args]);
  if (exit !== 0) throw failed(link.name, `"ip ${args[0]} ${args[1]}" was refused for the interface`, stderr);
}

function failed(name: string, words: string, stderr: string): LatchkeyError {
  return new LatchkeyError('link_not_made', `${words} ${name}`, {
    status: 503,
    hint: 'run as root, or with CAP_NET_ADMIN; wghub doctor tells what is missing',
    extra: { stderr: stderr.slice(-2000) },
  });
}

async function call(
  { inside = [] }: Pick<WantedLink, 'inside'>,
  argv: readonly string[],
): Promise<{ exit: number; stdout: string; stderr: string }> {
  const [first = '', ...rest] = [...inside, ...argv];
  try {
    const { exit, stdout, stderr } = await run([first, ...rest], {
      timeoutMs: TIMEOUT_MS,
      allowExit: 'any',
    });
    return { exit, stdout: stdout.toString('utf8'), stderr };
  } catch (error) {
    if (isLatchkeyError(error, 'command_missing'))
      return { exit: 127, stdout: '', stderr: `${first} is not installed` };
    throw error;
  }
}

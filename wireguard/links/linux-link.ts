import { setTimeout as sleep } from 'node:timers/promises';
import { isLatchkeyError } from '../../platform/errors.ts';
import { launch } from '../../platform/run.ts';
import { formatPrefix, parsePrefix } from '../address/prefix.ts';
import type { LinkChoice } from './link-choice.ts';
import { callIp, hasControlSocket, type Inside, isWireGuardLink, readLink } from './link-state.ts';
import { linkRights, linkTrouble, nameTaken, programMissing } from './link-trouble.ts';

/** An interface as Linux is to have it. */
export interface WantedLink {
  readonly name: string;
  readonly choice: LinkChoice;
  readonly addresses: readonly string[];
  /** `null` leaves it to the system. */
  readonly mtu: number | null;
  readonly inside?: Inside;
}

/** How long a program may take until its interface and its control socket are there: twenty seconds on a machine that has much to do. */
const START_TRIES = 1000;
const TRY_MS = 20;

/**
 * Makes the interface when it is not there, gives it what it lacks, and takes what it should not have: addresses and MTU; then
 * sets it up. Routes are a matter of `settleRoutes`. Twice in a row changes nothing. True when it was made anew, so that it has neither key nor peers.
 * Throws (503) `link_name_taken` for one that is no WireGuard, which is not touched; `link_missing`, `link_refused`, `tun_missing`,
 * and `link_not_made` with what the system said to it in `extra.stderr`.
 */
export async function ensureLink(link: WantedLink): Promise<boolean> {
  const { name, inside = [] } = link;
  const before = await readLink(name, inside);
  if (before !== null && !isWireGuardLink(before.kind, hasControlSocket(name))) throw nameTaken(name, before.kind);
  if (before === null) await makeLink(link);
  const state = before ?? (await readLink(name, inside));
  if (state === null) throw failed(link, `the interface ${name} was made and is not there`);
  const wanted = link.addresses.map((text) => formatPrefix(parsePrefix(text, 'addresses')));
  for (const address of wanted.filter((one) => !state.addresses.includes(one))) {
    await ip(link, ['address', 'add', address, 'dev', name]);
  }
  for (const address of state.addresses.filter((one) => !wanted.includes(one))) {
    await ip(link, ['address', 'delete', address, 'dev', name]);
  }
  if (link.mtu !== null && state.mtu !== link.mtu) await ip(link, ['link', 'set', name, 'mtu', String(link.mtu)]);
  if (!state.isUp) await ip(link, ['link', 'set', name, 'up']);
  return before === null;
}

/** Takes the interface away; one that is not there is no error. Throws `link_name_taken` for one that is no WireGuard. */
export async function removeLink({ name, inside = [] }: Pick<WantedLink, 'name' | 'inside'>): Promise<void> {
  const state = await readLink(name, inside);
  if (state === null) return;
  if (!isWireGuardLink(state.kind, hasControlSocket(name))) throw nameTaken(name, state.kind);
  const { exit, stderr } = await callIp(['link', 'delete', name], inside);
  if (exit !== 0) throw linkTrouble(name, null, linkRights(), `${name} could not be taken away`, stderr);
}

async function makeLink(link: WantedLink): Promise<void> {
  const { name, choice, inside = [] } = link;
  if (choice.program === null) {
    await ip(link, ['link', 'add', name, 'type', choice.driver === 'awg' ? 'amneziawg' : 'wireguard']);
    return;
  }
  const exit = await startProgram(choice.program, name, inside);
  for (let tries = 0; !(hasControlSocket(name) && (await readLink(name, inside)) !== null); tries++) {
    const ended = exit();
    if (ended !== null) throw failed(link, `${choice.program} ended at once with exit code ${ended}`);
    if (tries === START_TRIES) throw failed(link, `${choice.program} was started and made no interface`);
    await sleep(TRY_MS);
  }
}

/**
 * In a session of its own, so that it lives on however the hub ends: a restart of the hub cuts nobody off. In the foreground, so that
 * it is this process's own child and is waited for when its interface is taken away: where nobody adopts orphans (a container whose first
 * process is the hub), one that goes into the background would stay behind as a defunct process.
 */
async function startProgram(program: string, name: string, inside: Inside): Promise<() => number | null> {
  const [first = program, ...rest] = [...inside, program, '-f', name];
  try {
    return (await launch([first, ...rest], { env: { LOG_LEVEL: 'error' } })).exit;
  } catch (error) {
    if (isLatchkeyError(error, 'command_missing')) throw programMissing(program);
    throw error;
  }
}

async function ip(link: WantedLink, args: readonly string[]): Promise<void> {
  const { exit, stderr } = await callIp(args, link.inside ?? []);
  if (exit !== 0) throw failed(link, `"ip ${args[0]} ${args[1]}" was refused for the interface ${link.name}`, stderr);
}

function failed({ name, choice }: WantedLink, words: string, stderr = ''): Error {
  return linkTrouble(name, choice.program, linkRights(), words, stderr);
}

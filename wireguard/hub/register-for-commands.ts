import type { Clock, RandomBytes } from '../../platform/clock.ts';
import type { HubData } from '../data/hub-data.ts';
import type { InterfaceFacts } from '../store/interface-facts.ts';
import type { Seal } from '../store/seal.ts';
import type { RingAnswer } from './doorbell.ts';
import { PeerRegister } from './peer-register.ts';
import { tellHubs } from './tell-hubs.ts';

/** The peers of one interface for a command, which works on the store whether a hub runs or not. */
export interface RegisterForCommands {
  readonly peers: PeerRegister;
  /** How the running hub took everything that was changed so far: the worst of its answers. `live` when nothing was. */
  taken(): RingAnswer;
}

const ORDER: readonly RingAnswer[] = ['live', 'later', 'none'];
/** What one ring may name. */
const MOST_KEYS = 10_000;

/**
 * A register whose changes are committed by this process and then told to the running hub. The seal is needed for
 * what makes secrets (a peer with a preshared key) and for nothing else: `null` where no vault was opened.
 */
export function registerForCommands(
  data: Pick<HubData, 'directory' | 'store' | 'config' | 'postgres'>,
  facts: InterfaceFacts,
  { clock, random }: { readonly clock: Clock; readonly random: RandomBytes },
  seal: Seal | null,
): RegisterForCommands {
  let worst: RingAnswer = 'live';
  const tell = async (publicKeys: readonly string[]): Promise<boolean> => {
    let isLive = true;
    for (let at = 0; at < publicKeys.length; at += MOST_KEYS) {
      const some = publicKeys.slice(at, at + MOST_KEYS);
      const answer = await tellHubs(data, { interface: facts.name, publicKeys: some }, random);
      isLive &&= answer === 'live';
      if (ORDER.indexOf(answer) > ORDER.indexOf(worst)) worst = answer;
    }
    return isLive;
  };
  const parts = { store: data.store, seal: seal ?? closed, now: () => clock.now(), random, tell };
  return { peers: new PeerRegister(facts, parts), taken: () => worst };
}

/** What a command says of it to people. */
export const TAKEN_WORDS: Readonly<Record<RingAnswer, string>> = {
  live: 'the running hub has taken it up',
  later: 'the running hub could not take it up at once, and tries again within a minute',
  none: 'no hub that keeps the interface runs: it will be on it when one starts',
};

const closed: Seal = {
  seal: () => {
    throw new TypeError('this register was made without a seal');
  },
  open: () => {
    throw new TypeError('this register was made without a seal');
  },
};

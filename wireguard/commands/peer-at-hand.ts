import type { CommandIo } from '../../platform/command-io.ts';
import { askLine } from '../../platform/command-line.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { type HubData, withHubData } from '../data/hub-data.ts';
import { findPeer } from '../hub/find-peer.ts';
import { chosenInterface, type InterfaceFacts, listInterfaceFacts } from '../store/interface-facts.ts';
import type { Peer } from '../store/peers.ts';
import type { PeerKind } from '../store/schema.ts';
import { peerWords } from './peer-words.ts';

export interface PeerOptions {
  readonly data: string;
  readonly json?: boolean;
  readonly interface?: string;
}

/** One peer that a command is about. */
export interface PeerAtHand {
  readonly data: HubData;
  readonly peer: Peer;
  readonly facts: InterfaceFacts;
}

/** Works on the one peer that `text` means, of any kind unless one is told. Throws what `findPeer` throws. */
export function withPeer(
  text: string,
  options: PeerOptions,
  io: CommandIo,
  work: (at: PeerAtHand) => Promise<void> | void,
  kind?: PeerKind,
): Promise<void> {
  return withHubData(options.data, io.terminal.env, async (data) => {
    const { store } = data;
    const all = await store.read(listInterfaceFacts);
    const names = chosenInterfaces(all, options.interface).map(({ name }) => name);
    const peer = await store.read((db) => findPeer(db, names, text, kind));
    await work({ data, peer, facts: chosenInterface(all, peer.interface) });
  });
}

/** The interfaces that are meant: one, or all. */
export function chosenInterfaces(all: readonly InterfaceFacts[], name: string | undefined): readonly InterfaceFacts[] {
  return name === undefined ? all : [chosenInterface(all, name)];
}

/** Asks whether this peer is to go. Throws `cancelled` for every answer but "yes". */
export async function confirmRemoval(peer: Peer, { terminal }: CommandIo): Promise<void> {
  const answer = await askLine(terminal, `"yes" to remove ${peerWords(peer)}`, 'give --yes to remove it without');
  if (answer.trim() === 'yes') return;
  throw new LatchkeyError('cancelled', 'nothing was removed', { exit: 1 });
}

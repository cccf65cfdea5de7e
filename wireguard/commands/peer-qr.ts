import type { Command } from 'commander';
import type { CommandIo } from '../../platform/command-io.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { type UnsealOptions, withUnsealOptions } from '../../platform/vault/unseal-options.ts';
import { COMMAND } from '../hub/actor.ts';
import { assertHandout, handout, handoutWish } from '../hub/peer-handout.ts';
import { registerForCommands } from '../hub/register-for-commands.ts';
import { listInterfaces } from '../store/hub-interface.ts';
import { chosenInterface } from '../store/interface-facts.ts';
import { openVault } from './open-vault.ts';
import { type PeerAtHand, withPeer } from './peer-at-hand.ts';
import { fillFile, type HandoverOptions, handOver, withHandoverOptions, withNewFile } from './peer-handover.ts';

interface QrOptions extends UnsealOptions, HandoverOptions {
  readonly data: string;
  readonly interface?: string;
  readonly newKeys?: boolean;
}

/** `peer qr`: a code for a device that lost its configuration. The hub has no private key to show, so it makes a new pair. */
export function addPeerQrCommand(named: (usage: string, summary: string) => Command, io: CommandIo): void {
  const command = named('qr', 'show a QR code with new keys for a peer').option(
    '--new-keys',
    'make a new key pair; what the peer has by now stops working',
  );
  withUnsealOptions(withHandoverOptions(command)).action((text: string, options: QrOptions) =>
    withPeer(text, options, io, (at) => show(at, options, io)),
  );
}

async function show({ data, peer }: PeerAtHand, options: QrOptions, io: CommandIo): Promise<void> {
  if (options.newKeys !== true) {
    throw new LatchkeyError('key_not_kept', `the hub does not keep the private key of ${peer.name}`, {
      exit: 3,
      field: '--new-keys',
      hint: 'give --new-keys for a code with a new key pair; what the peer has by now stops working',
    });
  }
  const vault = await openVault(data, options, io);
  const facts = chosenInterface(await data.store.read((db) => listInterfaces(db, vault)), peer.interface);
  const wish = handoutWish(options, true, facts, '--client');
  assertHandout(facts, wish);
  const register = registerForCommands(data, facts, io, vault);
  const { made, text } = await withNewFile(options.out, async () => {
    const made = await register.peers.rekey(peer.id, COMMAND);
    const text = handout(facts, made, wish);
    fillFile(options.out, text);
    return { made, text };
  });
  await handOver(made, text, 'made new keys for', true, options, register, io);
}

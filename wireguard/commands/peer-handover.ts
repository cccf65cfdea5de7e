import { existsSync, rmSync } from 'node:fs';
import type { Command } from 'commander';
import { Option } from 'commander';
import type { CommandIo } from '../../platform/command-io.ts';
import { printJson } from '../../platform/command-line.ts';
import { createSecretFile, writeFileAtomic } from '../../platform/files.ts';
import { qrDataUrl, qrText } from '../../platform/qr-code.ts';
import { peerJson } from '../hub/peer-json.ts';
import type { MadePeer } from '../hub/peer-register.ts';
import { type RegisterForCommands, TAKEN_WORDS } from '../hub/register-for-commands.ts';
import { bareAddress } from './peer-words.ts';

/** How the configuration of a peer is handed over. */
export interface HandoverOptions {
  readonly client?: string;
  readonly route: 'network' | 'all';
  readonly out?: string;
  readonly json?: boolean;
}

/** Adds the options that say in which form a configuration is wanted. */
export function withHandoverOptions(command: Command): Command {
  return command
    .option('--client <name>', 'program that is to take it: wireguard, amneziawg-tools, amneziawg-apple, …')
    .addOption(
      new Option('--route <what>', 'what goes through the tunnel: the network of the hub, or everything')
        .choices(['network', 'all'])
        .default('network'),
    )
    .option('--out <file>', 'write the configuration to a new file (0600) in place of the terminal');
}

/**
 * Makes sure of the file before anything is stored, since what goes into it is told once; a file that is there is refused. When
 * `work` fails, it is taken away again.
 */
export async function withNewFile<T>(path: string | undefined, work: () => Promise<T>): Promise<T> {
  if (path === undefined) return work();
  createSecretFile(path, '');
  try {
    return await work();
  } catch (error) {
    if (existsSync(path)) rmSync(path);
    throw error;
  }
}

/** Fills the file that `withNewFile` made. */
export function fillFile(path: string | undefined, text: string): void {
  if (path !== undefined) writeFileAtomic(path, text, { mode: 0o600 });
}

/** Tells of a peer whose configuration `text` is handed over, on stdout or, with `--out`, in its file. */
export async function handOver(
  { peer, privateKey }: MadePeer,
  text: string,
  headline: string,
  isQr: boolean,
  options: HandoverOptions,
  { taken }: RegisterForCommands,
  { terminal }: CommandIo,
): Promise<void> {
  const { out } = options;
  if (options.json === true) {
    printJson(terminal, {
      peer: peerJson(peer),
      hub: taken(),
      ...(out === undefined ? { config: text } : { out }),
      ...(isQr ? { qrCode: await qrDataUrl(text) } : {}),
    });
    return;
  }
  const about =
    `${headline} ${peer.name}: ${peer.addresses.map(bareAddress).join(', ')} on ${peer.interface}, id ${peer.id}\n` +
    `  ${TAKEN_WORDS[taken()]}\n` +
    (out === undefined ? '' : `  its configuration is in ${out}\n`);
  // what a program may want to keep is alone on stdout
  (out === undefined || isQr ? terminal.stderr : terminal.stdout).write(about);
  if (isQr) terminal.stdout.write(await qrText(text, terminal.stdout.isTTY === true));
  else if (out === undefined) terminal.stdout.write(text);
  if (privateKey === null) {
    terminal.stderr.write('wghub: hint: PrivateKey is missing in it: the device puts its own there\n');
  } else if (out === undefined) {
    terminal.stderr.write('wghub: hint: this is shown once: the hub does not keep the private key\n');
  }
}

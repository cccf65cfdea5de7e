import { setTimeout as delay } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import { type CommandIo, dataCommand } from '../../platform/command-io.ts';
import { createLog } from '../../platform/log.ts';
import { type UnsealOptions, unsealMethodFor, withUnsealOptions } from '../../platform/vault/unseal-options.ts';
import type { Vault } from '../../platform/vault/vault.ts';
import { sealMethodOf, unsealVault } from '../../platform/vault/vault-file.ts';
import { waitForPrivateAddress } from '../../wireguard/interface-address.ts';
import type { Config } from '../config.ts';
import { openServerData, type ServerData } from '../server-data.ts';

interface StartOptions extends UnsealOptions {
  readonly data: string;
  readonly json?: boolean;
  readonly logLevel?: string;
}

/** `start`: opens the vault, waits for its address and serves until it is told to stop. */
export function addStartCommand(program: Command, io: CommandIo): void {
  withUnsealOptions(dataCommand(program, 'start', 'serve until interrupted'))
    .addOption(
      new Option('--log-level <level>', 'what goes to stderr')
        .choices(['error', 'warn', 'info', 'debug'])
        .default('warn'),
    )
    .action((options: StartOptions) => start(options, io));
}

async function start(options: StartOptions, io: CommandIo): Promise<void> {
  const data = await openServerData(options.data);
  try {
    const method = await unsealMethodFor(await sealMethodOf(data.directory), options, io);
    const vault = await unsealVault(data.directory, method, io.random);
    await waitForAddress(data.config, io);
    await serve(data, vault, options, io);
  } finally {
    await data.store.close();
  }
}

function waitForAddress({ listen, transport }: Config, io: CommandIo): Promise<unknown> {
  const signal = io.stopSignal();
  const say = (text: string): void => void io.terminal.stderr.write(`keyserver: ${text}\n`);
  if (transport === 'plain-http') {
    say('warning: serving without TLS, the tunnel alone protects the keys');
  }
  return waitForPrivateAddress(listen.host, {
    sleep: (ms) => delay(ms, undefined, { signal }).catch(() => undefined),
    onWait: () => say(`waiting for ${listen.host} to appear on a WireGuard interface`),
    signal,
  });
}

async function serve(data: ServerData, vault: Vault, options: StartOptions, io: CommandIo): Promise<void> {
  const log = createLog({ level: options.logLevel ?? 'warn' });
  const { startKeyServer } = await import('../key-server.ts'); // the HTTP side, which no other command needs
  const server = await startKeyServer(data, vault, { clock: io.clock, random: io.random, log });
  const { url, listen } = data.config;
  const line = options.json === true ? JSON.stringify({ serving: url, listen, pid: process.pid }) : `serving ${url}`;
  io.terminal.stdout.write(`${line}\n`);
  await new Promise<void>((resolve) => {
    const stop = io.stopSignal();
    if (stop.aborted) resolve();
    else stop.addEventListener('abort', () => resolve(), { once: true });
  });
  await server.stop();
}

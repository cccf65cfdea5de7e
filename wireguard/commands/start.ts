import { isDeepStrictEqual } from 'node:util';
import { type Command, Option } from 'commander';
import { type CommandIo, dataCommand } from '../../platform/command-io.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { createLog } from '../../platform/log.ts';
import { type UnsealOptions, withUnsealOptions } from '../../platform/vault/unseal-options.ts';
import { readConfig } from '../data/hub-config.ts';
import { type HubData, withHubData } from '../data/hub-data.ts';
import { servingUrl } from '../front/hub-url.ts';
import { placeOf } from '../interface-address.ts';
import { openVault } from './open-vault.ts';

interface StartOptions extends UnsealOptions {
  readonly data: string;
  readonly json?: boolean;
  readonly logLevel: string;
}

/** `start`: builds the interfaces and serves until it is told to stop. */
export function addStartCommand(program: Command, io: CommandIo): void {
  withUnsealOptions(dataCommand(program, 'start', 'build the interfaces, keep them, and serve until interrupted'))
    .addOption(
      new Option('--log-level <level>', 'what goes to stderr')
        .choices(['error', 'warn', 'info', 'debug'])
        .default('warn'),
    )
    .action((options: StartOptions) => withHubData(options.data, io.terminal.env, (data) => start(data, options, io)));
}

async function start(data: HubData, options: StartOptions, io: CommandIo): Promise<void> {
  const vault = await openVault(data, options, io);
  if (data.config.tls === null) assertPrivate(data.config.listen.host);
  const log = createLog({ level: options.logLevel });
  const { startHub } = await import('../hub/hub-server.ts'); // the HTTP side, which no other command needs
  const { clock, random, terminal } = io;
  const stop = io.stopSignal();
  const server = await startHub(data, vault, { clock, random, log, env: terminal.env });
  if (!isDeepStrictEqual(readConfig(data.directory).database, data.config.database)) {
    await server.stop();
    throw new LatchkeyError('store_moved', 'the state of the hub was moved while it started', {
      hint: 'start it again',
    });
  }
  for (const name of server.unbuilt) {
    terminal.stderr.write(
      `wghub: warning: ${name} could not be built yet, see the log; it is tried again with each look\n`,
    );
  }
  const serving = servingUrl(data.config, server.port);
  terminal.stdout.write(
    options.json === true ? `${JSON.stringify({ serving, pid: process.pid })}\n` : `serving ${serving}\n`,
  );
  await new Promise<void>((resolve) => {
    if (stop.aborted) resolve();
    else stop.addEventListener('abort', () => resolve(), { once: true });
  });
  await server.stop();
}

/** Without TLS the API is for this machine and for the tunnel. An address that is not there yet may become the hub's own. */
function assertPrivate(host: string): void {
  const place = placeOf(host);
  if (place.kind === 'loopback' || place.kind === 'wireguard' || place.kind === 'absent') return;
  throw new LatchkeyError(
    'listen_refused',
    `${host} is neither loopback nor in a tunnel, and "tls" is null in config.json`,
    {
      exit: 3,
      hint: 'give it a certificate (wghub tls make), or listen on 127.0.0.1 and put a web server with TLS before it',
    },
  );
}

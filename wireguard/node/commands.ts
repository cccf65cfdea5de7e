import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import type { CommandIo } from '../../platform/command-io.ts';
import { printJson, printTable } from '../../platform/command-line.ts';
import { parseInteger } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { authorityOf, parseListenAddress } from '../../platform/listening/listen-address.ts';
import { createLog } from '../../platform/log.ts';
import { programPlace } from '../../platform/program-place.ts';
import { waitForPrivateAddress } from '../interface-address.ts';
import { addCheckCommand } from './check-command.ts';
import { lookAround } from './look.ts';
import { readLook, writeLook } from './look-file.ts';
import { machineFacts } from './machine-facts.ts';
import { type NodeStatus, nodeHealth, nodeStatus } from './node-status.ts';
import { LOOK_FILE, NODE_USER, nodeUnits } from './node-units.ts';
import { placeFiles } from './place-files.ts';

interface LookOptions {
  readonly file: string;
  readonly every: string;
  readonly interface?: readonly string[];
}

interface StartOptions {
  readonly file: string;
  readonly listen: string;
  readonly disk: string;
  readonly asRoot?: boolean;
  readonly json?: boolean;
}

/** `look`, `start`, `status`, `check`, `service print`. */
export function addNodeCommands(program: Command, io: CommandIo): void {
  const file = () => new Option('--file <file>', 'where what was seen is kept').default(LOOK_FILE);
  const disk = () =>
    new Option('--disk <folder>', 'the disk whose room is told is the one that this is on').default('/');
  program
    .command('look')
    .description('write down how the WireGuard interfaces are, again and again; needs the right over networks')
    .addOption(file())
    .option('--every <seconds>', 'pause between two looks; 0 looks once', '10')
    .option('--interface <name...>', 'interfaces that are to be there; all that are unless told')
    .action((options: LookOptions) => look(options, io));
  program
    .command('start')
    .description('answer GET /status and GET /health inside the tunnel')
    .requiredOption('--listen <ip:port>', 'an address of the tunnel; 8000 is the usual port')
    .addOption(file())
    .addOption(disk())
    .option('--as-root', 'run with all rights, which it does not need')
    .option('--json', 'print JSON for programs')
    .action((options: StartOptions) => start(options, io));
  program
    .command('status')
    .description('show what the service would answer')
    .addOption(file())
    .addOption(disk())
    .option('--json', 'print JSON for programs')
    .action((options: Pick<StartOptions, 'file' | 'disk' | 'json'>) => status(options, io));
  addCheckCommand(program, io);
  const service = program.command('service').description('start at boot');
  service
    .command('print')
    .description('print the systemd units of this node; nothing is installed')
    .option('--write', 'write them to their places instead, as root')
    .requiredOption('--listen <ip:port>', 'an address of the tunnel; 8000 is the usual port')
    .option('--interface <name...>', 'interfaces that are to be there; all that are unless told')
    .option('--json', 'print JSON for programs')
    .action((options: PrintOptions) => print(options, io));
}

async function look(options: LookOptions, { clock, stopSignal }: CommandIo): Promise<void> {
  const every = parseInteger(options.every, '--every', { min: 0, max: 3600 });
  const stop = every === 0 ? null : stopSignal();
  do {
    writeLook(options.file, await lookAround(options.interface ?? null, clock.now()));
    if (stop === null) return;
    await sleep(every * 1000, undefined, { signal: stop }).catch(() => undefined);
  } while (!stop.aborted);
}

async function start(options: StartOptions, { clock, random, stopSignal, terminal }: CommandIo): Promise<void> {
  if (process.getuid?.() === 0 && options.asRoot !== true) {
    throw new LatchkeyError(
      'root_refused',
      'this answers to others and needs no right at all, so it does not run as root',
      {
        exit: 3,
        hint: 'wgnode service print has a unit with a user of its own',
      },
    );
  }
  const address = parseListenAddress(options.listen, '--listen');
  const stop = stopSignal();
  await waitForPrivateAddress(address.host, {
    sleep: (ms) => sleep(ms, undefined, { signal: stop }).catch(() => undefined),
    onWait: () => terminal.stderr.write(`wgnode: hint: waiting for ${address.host}\n`),
    signal: stop,
  });
  const server = await startNodeServerHere(options, address, clock.now.bind(clock), () => random(8).toString('hex'));
  const serving = `http://${authorityOf(address.host, server.port)}`;
  terminal.stdout.write(options.json === true ? `${JSON.stringify({ serving })}\n` : `serving ${serving}\n`);
  await new Promise<void>((done) => {
    if (stop.aborted) done();
    else stop.addEventListener('abort', () => done(), { once: true });
  });
  await server.stop();
}

async function startNodeServerHere(
  { file, disk }: StartOptions,
  listen: { readonly host: string; readonly port: number },
  now: () => number,
  requestId: () => string,
) {
  const { startNodeServer } = await import('./node-server.ts'); // the HTTP side, which no other command needs
  const log = createLog({ level: 'warn' });
  return startNodeServer({ listen, lookFile: file, machine: () => machineFacts(disk), now, log, requestId });
}

async function status(
  { file, disk, json }: Pick<StartOptions, 'file' | 'disk' | 'json'>,
  io: CommandIo,
): Promise<void> {
  const { clock, terminal } = io;
  const seen = readLook(file);
  const [told, health] = [nodeStatus(machineFacts(disk), seen, clock.now()), nodeHealth(seen, clock.now())];
  if (json === true) printJson(terminal, { ...told, health });
  else {
    terminal.stdout.write(`${told.hostname}: ${health.status}, load ${told.load.join(' ')}, ${room(told)} free\n`);
    for (const reason of health.reasons) terminal.stdout.write(`  ${reason}\n`);
    const rows = told.interfaces.flatMap(({ name, peers }) =>
      peers.map((peer) => [
        name,
        peer.publicKey,
        peer.endpoint ?? '-',
        age(peer.handshakeAgeSeconds),
        peer.stale ? 'stale' : 'fresh',
      ]),
    );
    if (rows.length > 0) printTable(terminal, ['INTERFACE', 'PEER', 'ENDPOINT', 'HANDSHAKE', ''], rows);
  }
  if (health.status === 'ok') return;
  throw new LatchkeyError('degraded', 'something is wrong with the tunnel of this machine', { extra: { told: true } });
}

function room({ diskFreeGiB }: NodeStatus): string {
  return diskFreeGiB === null ? 'unknown' : `${diskFreeGiB.toFixed(1)} GiB`;
}

function age(seconds: number | null): string {
  return seconds === null ? 'never' : `${seconds} s ago`;
}

interface PrintOptions {
  readonly listen: string;
  readonly interface?: readonly string[];
  readonly write?: boolean;
  readonly json?: boolean;
}

function print(options: PrintOptions, { terminal }: CommandIo): void {
  const { host, port } = parseListenAddress(options.listen, '--listen');
  const facts = { ...programPlace(), listen: authorityOf(host, port), interfaces: options.interface ?? [] };
  const units = nodeUnits(facts);
  const files = Object.entries(units).map(([name, text]) => ({ path: `/etc/systemd/system/${name}`, text }));
  const isWritten = options.write === true;
  if (isWritten) placeFiles(files);
  if (options.json === true) printJson(terminal, units);
  else if (isWritten) terminal.stdout.write(`wrote ${files.map(({ path }) => path).join(' and ')}\n`);
  else for (const { path, text } of files) terminal.stdout.write(`# ${path}\n${text}\n`);
  const names = Object.keys(units).join(' ');
  terminal.stderr.write(
    `wgnode: hint: as root: useradd --system --no-create-home ${NODE_USER},${isWritten ? '' : ' write both to /etc/systemd/system (--write does),'} then systemctl daemon-reload, systemctl enable --now ${names}\n`,
  );
}

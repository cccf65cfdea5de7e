import type { Command } from 'commander';
import { appendAudit } from '../../platform/audit-chain.ts';
import { type CommandIo, dataCommand } from '../../platform/command-io.ts';
import { printJson } from '../../platform/command-line.ts';
import { authorityOf, parseListenAddress } from '../../platform/listening/listen-address.ts';
import { listenRefused, placeOf } from '../../wireguard/interface-address.ts';
import { type Config, movedConfig, writeConfig } from '../config.ts';
import { withServerData } from '../server-data.ts';

interface ListenOptions {
  readonly data: string;
  readonly host?: readonly string[];
  readonly json?: boolean;
}

/** `listen`: shows where the server listens and what it is called, or changes both for its next start. */
export function addListenCommand(program: Command, io: CommandIo): void {
  dataCommand(
    program,
    'listen [ip:port]',
    'show where the server listens, or change it; clients keep their credentials',
  )
    .option('--host <name...>', 'names or addresses clients use, the first in their URL, in place of the present ones')
    .action((address: string | undefined, options: ListenOptions) => listen(address, options, io));
}

async function listen(address: string | undefined, options: ListenOptions, io: CommandIo): Promise<void> {
  const wanted = address === undefined ? null : parseListenAddress(address, 'IP:PORT');
  const place = wanted === null ? null : placeOf(wanted.host);
  if (wanted !== null && (place?.kind === 'other' || place?.kind === 'wildcard')) {
    throw listenRefused(wanted.host, place, 'IP:PORT');
  }
  return withServerData(options.data, async ({ directory, config, store }) => {
    const isQuestion = wanted === null && options.host === undefined;
    const moved = isQuestion ? config : movedConfig(config, wanted ?? config.listen, options.host ?? null);
    const isChanged = wordsOf(moved) !== wordsOf(config);
    if (isChanged) {
      const { listen, hosts } = moved;
      const detail = {
        listen: authorityOf(listen.host, listen.port),
        hosts,
        was: authorityOf(config.listen.host, config.listen.port),
      };
      await store.transaction((tx) => appendAudit(tx, { time: io.clock.now(), event: 'listen_changed', detail }));
      writeConfig(directory, moved);
    }
    show(moved, isChanged, options, io);
    if (place?.kind === 'absent') hint(`${moved.listen.host} is on no interface yet; start will wait for it`, io);
    const gone = config.hosts.filter((host) => !moved.hosts.includes(host));
    if (gone.length > 0) {
      hint(`the certificate names ${gone.join(', ')} no more: clients that ask there will not trust it`, io);
    }
  });
}

/** What this command changes, to compare. */
function wordsOf({ listen: { host, port }, hosts, url }: Config): string {
  return JSON.stringify([host, port, hosts, url]);
}

function show(config: Config, isChanged: boolean, options: ListenOptions, io: CommandIo): void {
  const { listen, hosts, url, transport } = config;
  if (options.json === true) {
    printJson(io.terminal, { listen, hosts, url, transport, changed: isChanged });
  } else {
    io.terminal.stdout.write(
      `listen  ${authorityOf(listen.host, listen.port)}, ${transport}\nnames   ${hosts.join(', ')}\nurl     ${url}\n`,
    );
  }
  if (!isChanged) return;
  const certificate = transport === 'tls' ? ', with a certificate for these names by the same authority' : '';
  hint(`this holds from the next start of the server${certificate}`, io);
}

function hint(words: string, io: CommandIo): void {
  io.terminal.stderr.write(`keyserver: hint: ${words}\n`);
}

import type { Command } from 'commander';
import { type ChannelHealth, channelHealth, type LoggedMessage, readOutbox } from '../../platform/alert-report.ts';
import { type CommandIo, dataCommand, showTime } from '../../platform/command-io.ts';
import { printJson, printTable } from '../../platform/command-line.ts';
import { parseInteger } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { type UnsealOptions, withUnsealOptions } from '../../platform/vault/unseal-options.ts';
import {
  channelUnknown,
  listChannels,
  openChannel,
  removeChannel,
  type StoredChannel,
} from '../alerts/channel-book.ts';
import { showAlert } from '../alerts/notice.ts';
import { tryChannels } from '../alerts/try-channels.ts';
import { withServerData } from '../server-data.ts';
import { addAddCommand, openVault } from './alert-add.ts';

interface DataOptions {
  readonly data: string;
  readonly json?: boolean;
}

interface LogOptions extends DataOptions {
  readonly lines?: string;
}

type TestOptions = DataOptions & UnsealOptions;

/** `alert add|list|remove|test|log`. */
export function addAlertCommands(program: Command, io: CommandIo): void {
  const alert = program.command('alert').description('how you are told of what happens');
  addAddCommand(alert, io);
  dataCommand(alert, 'list', 'list the channels and how they do').action((options: DataOptions) => list(options, io));
  dataCommand(alert, 'remove <name>', 'remove a channel; what still waits for it is given up').action(
    (name: string, options: DataOptions) => remove(name, options, io),
  );
  withUnsealOptions(dataCommand(alert, 'test [name]', 'send a test by every channel at once, or by one')).action(
    (name: string | undefined, options: TestOptions) => test(name, options, io),
  );
  dataCommand(alert, 'log', 'show the last alerts and whether they were delivered')
    .option('-n, --lines <n>', 'how many', '20')
    .action((options: LogOptions) => log(options, io));
}

function list(options: DataOptions, io: CommandIo): Promise<void> {
  return withServerData(options.data, async ({ store }) => {
    const channels = await store.read(async (tx) => reportsOf(await listChannels(tx), await channelHealth(tx)));
    if (options.json === true) return printJson(io.terminal, { channels });
    if (channels.length === 0) {
      return void io.terminal.stderr.write('keyserver: hint: no channels yet, so nobody is told; see alert add\n');
    }
    printTable(
      io.terminal,
      ['NAME', 'KIND', 'TO', 'LEAST', 'WAITING', 'GIVEN UP', 'SENT', 'ERROR'],
      channels.map((one) => [
        one.name,
        one.kind,
        one.target,
        one.least,
        String(one.waiting),
        String(one.givenUp),
        showTime(one.sentAt),
        one.error ?? '-',
      ]),
    );
  });
}

function reportsOf(channels: readonly StoredChannel[], health: readonly ChannelHealth[]) {
  return channels.map(({ name, kind, target, least, createdAt, config }) => {
    const { waiting = 0, givenUp = 0, sentAt = null, error = null } = health.find((one) => one.channel === name) ?? {};
    const secretAt = config === null || config.kind === 'command' ? null : config.secretAt;
    return { name, kind, target, least, secretAt, createdAt, waiting, givenUp, sentAt, error };
  });
}

function remove(name: string, options: DataOptions, io: CommandIo): Promise<void> {
  return withServerData(options.data, async ({ store }) => {
    await store.transaction((tx) => removeChannel(tx, name, io.clock.now()));
    if (options.json === true) printJson(io.terminal, { removed: name });
    else io.terminal.stdout.write(`removed channel ${name}\n`);
  });
}

function test(name: string | undefined, options: TestOptions, io: CommandIo): Promise<void> {
  return withServerData(options.data, async (data) => {
    const all = await data.store.read(listChannels);
    const wanted = name === undefined ? all : all.filter((channel) => channel.name === name);
    if (name !== undefined && wanted.length === 0) throw channelUnknown();
    if (wanted.length === 0) {
      throw new LatchkeyError('alert_channel_missing', 'there is no channel', {
        hint: 'add one with keyserver alert add',
      });
    }
    const vault = wanted.some((channel) => channel.sealed !== null) ? await openVault(data, options, io) : null;
    const opened = wanted.map((channel) => ({
      name: channel.name,
      channel: openChannel(channel, () => vault, data.config.url),
    }));
    const results = await tryChannels(opened, io.clock.now());
    if (options.json === true) {
      printJson(io.terminal, { ok: results.every((result) => result.ok), results });
    } else {
      printTable(
        io.terminal,
        ['', 'CHANNEL', 'RESULT'],
        results.map((result) => [result.ok ? 'ok' : 'failed', result.name, result.ok ? 'delivered' : result.error]),
      );
      for (const result of results) {
        if (!result.ok && result.hint !== null) {
          io.terminal.stderr.write(`keyserver: hint: ${result.name}: ${result.hint}\n`);
        }
      }
    }
    const failed = results.filter((result) => !result.ok).length;
    if (failed > 0) throw new LatchkeyError('alert_not_sent', `${failed} of ${results.length} channels failed`);
  });
}

function log(options: LogOptions, io: CommandIo): Promise<void> {
  const count = parseInteger(options.lines ?? '20', '--lines', { min: 1, max: 10_000 });
  return withServerData(options.data, async ({ store }) => {
    const alerts = (await store.read((tx) => readOutbox(tx, count))).map(entryOf);
    if (options.json === true) return printJson(io.terminal, { alerts });
    for (const entry of alerts) io.terminal.stdout.write(`${showEntry(entry)}\n`);
  });
}

function entryOf(message: LoggedMessage) {
  const { seq, raisedAt, repeats, lastAt, deliveries } = message;
  return { seq, raisedAt, repeats, lastAt, ...showAlert(message), deliveries: deliveries.map(deliveryOf) };
}

function deliveryOf({ channel, state, attempts, due_at, settled_at, error }: LoggedMessage['deliveries'][number]) {
  return { channel, state, attempts, dueAt: state === 'waiting' ? due_at : null, settledAt: settled_at, error };
}

function showEntry(entry: ReturnType<typeof entryOf>): string {
  const more = entry.repeats === 0 ? '' : ` (and ${entry.repeats} more times until ${showTime(entry.lastAt)})`;
  const ways = entry.deliveries.map(({ channel, state, attempts, error }) => {
    const why = error === null || state === 'sent' ? '' : `, ${attempts} tries: ${error}`;
    return `${channel} ${state.replace('_', ' ')}${why}`;
  });
  return [
    `${showTime(entry.raisedAt)}  ${entry.severity.padEnd(8)}  ${entry.title}${more}`,
    `    ${entry.happened}`,
    `    done by itself: ${entry.done}`,
    `    you can: ${entry.todo}`,
    `    told: ${ways.length === 0 ? 'nobody, there was no channel for it' : ways.join('; ')}`,
  ].join('\n');
}

import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Command } from 'commander';
import type { Kysely } from 'kysely';
import { channelHealth } from '../../platform/alert-report.ts';
import { auditHead } from '../../platform/audit-chain.ts';
import { type CommandIo, dataCommand, showTime } from '../../platform/command-io.ts';
import { printJson } from '../../platform/command-line.ts';
import { authorityOf } from '../../platform/listening/listen-address.ts';
import { methodWords } from '../../platform/vault/unseal.ts';
import { sealMethodOf } from '../../platform/vault/vault-file.ts';
import { listApprovals } from '../approvals/approvals.ts';
import { certificateOutlook, fewestDays } from '../certificates/outlook.ts';
import { isKillFilePresent } from '../data-directory.ts';
import { killedSince } from '../kill-switch.ts';
import type { Database } from '../schema.ts';
import { type ServerData, withServerData } from '../server-data.ts';
import { showStatePlace } from '../server-store.ts';

interface StatusOptions {
  readonly data: string;
  readonly json?: boolean;
}

const healthTimeout = 2_000;

/** `status`: what the data directory says, and whether a server answers at its address. */
export function addStatusCommand(program: Command, io: CommandIo): void {
  dataCommand(program, 'status', 'show the server at a glance').action((options: StatusOptions) => status(options, io));
}

function status(options: StatusOptions, io: CommandIo): Promise<void> {
  return withServerData(options.data, async (data) => {
    const report = {
      data: data.directory,
      url: data.config.url,
      listen: data.config.listen,
      transport: data.config.transport,
      state: showStatePlace(data.config, io.terminal.env),
      sealedWith: await sealMethodOf(data.directory),
      health: await askHealth(data),
      ...(await counts(data, io.clock.now())),
    };
    if (options.json === true) return printJson(io.terminal, report);
    const killed = report.killFile
      ? 'yes, by the file KILL'
      : report.killedSince === null
        ? 'no'
        : `since ${showTime(report.killedSince)}`;
    const lines: [string, string][] = [
      ['url', report.url],
      ['listen', `${authorityOf(report.listen.host, report.listen.port)}, ${report.transport}`],
      ['health', report.health],
      ['state', report.state],
      ['vault', `sealed with ${methodWords[report.sealedWith]}`],
      ['killed', killed],
      [
        'clients',
        `${report.clients.enrolled} enrolled, ${report.clients.new} new, ${report.clients.locked} locked, ${report.clients.revoked} revoked`,
      ],
      ['keys', String(report.keys)],
      ['waiting', report.waiting === 0 ? 'no request' : `${report.waiting} for your yes: keyserver approval list`],
      ['released', showTime(report.lastRelease)],
      ['certif.', `days left: ${certificateText(report.certificates)}`],
      ['audit', `${report.audit.seq} records, head ${report.audit.hash.slice(0, 16)}`],
      ['alerts', alertText(report.alerts)],
    ];
    for (const [label, value] of lines) io.terminal.stdout.write(`${label.padEnd(9)} ${value}\n`);
  });
}

async function counts({ store, directory }: ServerData, now: number) {
  return store.read(async (tx) => {
    const states = await tx.selectFrom('client').select('state').execute();
    const count = (state: string): number => states.filter((row) => row.state === state).length;
    const keys = await tx
      .selectFrom('stored_key')
      .select((eb) => eb.fn.countAll<number>().as('count'))
      .executeTakeFirstOrThrow();
    const last = await tx
      .selectFrom('pulse')
      .select((eb) => eb.fn.max('released_at').as('at'))
      .executeTakeFirst();
    const head = await auditHead(tx);
    return {
      killedSince: await killedSince(tx),
      killFile: isKillFilePresent(directory),
      clients: { new: count('new'), enrolled: count('enrolled'), locked: count('locked'), revoked: count('revoked') },
      keys: Number(keys.count),
      waiting: (await listApprovals(tx, now)).length,
      lastRelease: last?.at ?? null,
      audit: head,
      certificates: Object.fromEntries(fewestDays(await certificateOutlook(tx, now))),
      alerts: await alertCounts(tx),
    };
  });
}

async function alertCounts(tx: Kysely<Database>) {
  const { channels } = await tx
    .selectFrom('alert_channel')
    .select((eb) => eb.fn.countAll<number>().as('channels'))
    .executeTakeFirstOrThrow();
  const health = await channelHealth(tx);
  return {
    channels: Number(channels),
    waiting: health.reduce((sum, one) => sum + one.waiting, 0),
    givenUp: health.reduce((sum, one) => sum + one.givenUp, 0),
  };
}

/** Of each purpose the days until the first one ends. */
function certificateText(days: Readonly<Record<string, number>>): string {
  const words = { server: 'server', client: 'clients', admin: 'administrators', ca: 'authority' };
  return Object.entries(words)
    .filter(([purpose]) => days[purpose] !== undefined)
    .map(([purpose, word]) => `${word} ${days[purpose] ?? 0}`)
    .join(', ');
}

function alertText({ channels, waiting, givenUp }: Awaited<ReturnType<typeof alertCounts>>): string {
  if (channels === 0) return 'no channel, so nobody is told';
  const lost = givenUp === 0 ? '' : `, ${givenUp} given up`;
  return `${channels} ${channels === 1 ? 'channel' : 'channels'}, ${waiting} waiting${lost}`;
}

/** What `/health` says, `not running` when nobody answers. The certificate is checked against the server's own CA. */
function askHealth({ config, ca }: ServerData): Promise<string> {
  const { host, port } = config.listen;
  const request = config.transport === 'tls' ? httpsRequest : httpRequest;
  return new Promise((resolve) => {
    const call = request({ host, port, path: '/health', ca, timeout: healthTimeout, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve(healthFrom(Buffer.concat(chunks).toString('utf8'))));
    });
    call.on('timeout', () => call.destroy());
    call.on('error', () => resolve('not running'));
    call.end();
  });
}

function healthFrom(text: string): string {
  return /^\{"status":"(ok|sealed|killed|degraded)"\}$/.exec(text)?.[1] ?? 'another program answers there';
}

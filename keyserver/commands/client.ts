import type { Command } from 'commander';
import { type CommandIo, dataCommand, showTime } from '../../platform/command-io.ts';
import { printJson, printTable } from '../../platform/command-line.ts';
import { parseInteger } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { networksFor, parseNetworks } from '../../platform/listening/networks.ts';
import { parseInput } from '../../platform/schema.ts';
import { lengthText } from '../approvals/facts.ts';
import { clientName } from '../clients/client.ts';
import {
  addClient,
  changePolicy,
  findClient,
  type Invitation,
  type PolicyChange,
  resetClient,
  revokeClient,
} from '../clients/client-admin.ts';
import { type ServerData, withServerData } from '../server-data.ts';
import { addGrantCommand } from './client-grant.ts';
import { type ClientReport, describeClient, listClients } from './client-report.ts';
import { addRotateCommand } from './client-rotate.ts';
import { type GateOptions, gateChangeFrom, gatesReport, gatesText, withGateOptions } from './gate-options.ts';

interface DataOptions {
  readonly data: string;
  readonly json?: boolean;
}

interface AddOptions extends DataOptions {
  readonly from?: readonly string[];
  readonly basic?: boolean;
  readonly escrow: boolean;
}

interface PolicyOptions extends DataOptions, GateOptions {
  readonly rate?: string;
  readonly burst?: string;
  readonly lockout?: string;
  readonly ttl?: string;
  readonly staleIfError?: string;
  readonly onFork?: string;
  readonly from?: readonly string[];
  readonly basic?: string;
  readonly certificate?: string;
}

/** `client add|list|show|reset|revoke|policy`. */
export function addClientCommands(program: Command, io: CommandIo): void {
  const client = program.command('client').description('the Nextcloud hosts that may ask for keys');
  dataCommand(client, 'add <name>', 'add a client and print its one-time enrolment code')
    .option('--from <cidr...>', 'networks the client may speak from')
    .option('--basic', 'allow GET /key, the profile without a chain')
    .option('--no-escrow', 'make no grant to store keys')
    .action((name: string, options: AddOptions) => add(name, options, io));
  dataCommand(client, 'list', 'list the clients').action((options: DataOptions) => list(options, io));
  dataCommand(client, 'show <name>', 'show one client').action((name: string, options: DataOptions) =>
    show(name, options, io),
  );
  dataCommand(client, 'reset <name>', 'end its credentials and print a new enrolment code; its keys stay')
    .option('--no-escrow', 'make no grant to store keys')
    .action((name: string, options: AddOptions) => reset(name, options, io));
  addGrantCommand(client, io);
  addRotateCommand(client, io);
  dataCommand(client, 'revoke <name>', 'end a client for good').action((name: string, options: DataOptions) =>
    revoke(name, options, io),
  );
  const policyCommand = dataCommand(client, 'policy <name>', 'change what a client may do; without options show it')
    .option('--rate <n/h>', 'exchanges an hour, as 60/h')
    .option('--burst <n>', 'exchanges at once')
    .option('--lockout <on|off>', 'whether failures lock it out for a growing time')
    .option('--ttl <seconds>', 'how long it may keep a key')
    .option('--stale-if-error <seconds>', 'how long a kept key may serve while the key server is out of reach')
    .option('--on-fork <lock+purge|lock|alert>', 'what a fork does')
    .option('--from <cidr...>', 'networks it may speak from, in place of the present ones')
    .option('--basic <on|off>', 'whether it may use GET /key')
    .option('--certificate <required|auto|off>', 'whether it must show one; auto: when it was issued one');
  withGateOptions(policyCommand).action((name: string, options: PolicyOptions) => policy(name, options, io));
}

function add(text: string, options: AddOptions, io: CommandIo): Promise<void> {
  const name = nameFrom(text);
  return withServerData(options.data, async (server) => {
    const networks = networksFor(options.from, server.config.listen.host);
    const wanted = { name, networks, basic: options.basic === true, escrow: options.escrow };
    const invitation = await server.store.transaction((tx) => addClient(tx, wanted, io.clock.now(), io.random));
    printInvitation(`added client ${name}, allowed from ${networks.join(', ')}`, invitation, server, options, io);
  });
}

function reset(name: string, options: AddOptions, io: CommandIo): Promise<void> {
  return withServerData(options.data, async (server) => {
    const invitation = await server.store.transaction(async (tx) =>
      resetClient(tx, await findClient(tx, name), options.escrow, io.clock.now(), io.random),
    );
    printInvitation(`reset client ${name}; its keys stay`, invitation, server, options, io);
  });
}

function printInvitation(
  headline: string,
  { clientId, code, grant }: Invitation,
  server: ServerData,
  options: DataOptions,
  io: CommandIo,
): void {
  const { ca } = server;
  const url = server.config.url;
  if (options.json === true) {
    printJson(io.terminal, { clientId, code, url, ca, grant });
    return;
  }
  const grantLine = grant === '' ? '' : `grant   ${grant}  (to store keys; one run, begun within 1 h)\n`;
  io.terminal.stdout.write(
    `${headline}\n\nid      ${clientId}\nurl     ${url}\ncode    ${code}  (once, within 24 h)\n${grantLine}\n${ca}`,
  );
}

function list(options: DataOptions, io: CommandIo): Promise<void> {
  return withServerData(options.data, async ({ store }) => {
    const clients = await store.read(listClients);
    if (options.json === true) return printJson(io.terminal, { clients });
    if (clients.length === 0) return void io.terminal.stderr.write('keyserver: hint: no clients yet; see client add\n');
    printTable(
      io.terminal,
      ['NAME', 'STATE', 'KEYS', 'FROM', 'RELEASED', 'HEARD', 'ID'],
      clients.map((client) => [
        client.name,
        client.killed ? `${client.state}, killed` : client.state,
        String(client.keys.length),
        client.from.join(','),
        showTime(client.releasedAt),
        showTime(client.heardAt),
        client.id,
      ]),
    );
  });
}

function show(name: string, options: DataOptions, io: CommandIo): Promise<void> {
  return withServerData(options.data, async ({ store }) => {
    const client = await store.read(async (tx) => describeClient(tx, await findClient(tx, name)));
    if (options.json === true) return printJson(io.terminal, { ...client, gates: gatesReport(client.gates) });
    const { policy: rules } = client;
    const lines: [string, string][] = [
      ['name', client.name],
      ['id', client.id],
      ['state', client.killed ? `${client.state}, killed` : client.state],
      ['from', client.from.join(', ')],
      ['keys', client.keys.join(', ') || '-'],
      ['profile', client.basic ? 'chained and basic' : 'chained'],
      ['rate', `${rules.ratePerHour}/h, burst ${rules.burst}, lockout ${rules.lockout ? 'on' : 'off'}`],
      ['cache', `${rules.ttl} s, ${rules.staleIfError} s while the key server is out of reach`],
      ['on fork', rules.onFork],
      ['gates', gatesText(client.gates)],
      ['certif.', certificateText(client.certificate)],
      ...rotationLines(client.rotation),
      ['added', showTime(client.createdAt)],
      ['enrolled', showTime(client.enrolledAt)],
      ['released', showTime(client.releasedAt)],
      ['heard', showTime(client.heardAt)],
      ['present', presenceText(client)],
    ];
    for (const [label, value] of lines) io.terminal.stdout.write(`${label.padEnd(9)} ${value}\n`);
  });
}

function certificateText({ policy, since, until }: ClientReport['certificate']): string {
  if (policy === 'off') return 'not looked at';
  const held = since === null ? 'never issued one' : until === null ? 'none that holds' : `until ${showTime(until)}`;
  return policy === 'required' ? `required, ${held}` : held;
}

function presenceText({ presentAt, absence }: ClientReport): string {
  if (absence === null) return showTime(presentAt);
  const { since, until, kind } = absence;
  const how = kind === 'own' ? 'not heard while this server was away' : 'away';
  return `${showTime(presentAt)}, ${how} for ${lengthText(until - since)} from ${showTime(since)}`;
}

function rotationLines(rotation: ClientReport['rotation']): [string, string][] {
  if (rotation === null) return [];
  const told =
    rotation.toldAt === null ? 'told with its next release' : `told at ${showTime(rotation.toldAt)}, not used yet`;
  return [['rotation', `begun ${showTime(rotation.since)}, ${told}`]];
}

function revoke(name: string, options: DataOptions, io: CommandIo): Promise<void> {
  return withServerData(options.data, async ({ store }) => {
    await store.transaction(async (tx) => revokeClient(tx, await findClient(tx, name), io.clock.now()));
    if (options.json === true) printJson(io.terminal, { revoked: name });
    else io.terminal.stdout.write(`revoked client ${name}; nothing is released to it any more\n`);
  });
}

function policy(name: string, options: PolicyOptions, io: CommandIo): Promise<void> {
  const change = policyFrom(options);
  return withServerData(options.data, async ({ store }) => {
    const client = await store.transaction(async (tx) => {
      await changePolicy(tx, await findClient(tx, name), change, io.clock.now());
      return describeClient(tx, await findClient(tx, name));
    });
    const { policy: rules } = client;
    if (options.json === true)
      return printJson(io.terminal, {
        name: client.name,
        from: client.from,
        basic: client.basic,
        certificate: client.certificate.policy,
        ...rules,
        gates: gatesReport(client.gates),
      });
    io.terminal.stdout.write(
      `${client.name}: ${rules.ratePerHour}/h, burst ${rules.burst}, lockout ${rules.lockout ? 'on' : 'off'}, ` +
        `ttl ${rules.ttl} s, stale-if-error ${rules.staleIfError} s, on fork ${rules.onFork}, ` +
        `basic ${client.basic ? 'on' : 'off'}, certificate ${client.certificate.policy}, from ${client.from.join(', ')}\ngates ${gatesText(client.gates)}\n`,
    );
  });
}

function policyFrom(options: PolicyOptions): PolicyChange {
  const { rate, burst, lockout, ttl, staleIfError, onFork, from, basic, certificate } = options;
  const month = 2_592_000;
  const gates = gateChangeFrom(options);
  return {
    ...(rate !== undefined && { ratePerHour: rateFrom(rate) }),
    ...(burst !== undefined && { burst: parseInteger(burst, '--burst', { min: 1, max: 1_000_000 }) }),
    ...(lockout !== undefined && { lockout: switchFrom(lockout, '--lockout') }),
    ...(ttl !== undefined && { ttl: parseInteger(ttl, '--ttl', { min: 0, max: month }) }),
    ...(staleIfError !== undefined && {
      staleIfError: parseInteger(staleIfError, '--stale-if-error', { min: 0, max: month }),
    }),
    ...(onFork !== undefined && { forkPolicy: forkPolicyFrom(onFork) }),
    ...(from !== undefined && { networks: parseNetworks(from, '--from') }),
    ...(basic !== undefined && { basic: switchFrom(basic, '--basic') }),
    ...(gates !== null && { gates }),
    ...(certificate !== undefined && { certificate: certificatePolicyFrom(certificate) }),
  };
}

function rateFrom(text: string): number {
  const digits = /^(.+)\/h$/.exec(text)?.[1];
  if (digits !== undefined) return parseInteger(digits, '--rate', { min: 1, max: 1_000_000_000 });
  throw new LatchkeyError('invalid_request', '"--rate" must be a number an hour, as 60/h', {
    exit: 2,
    field: '--rate',
  });
}

function switchFrom(text: string, field: string): boolean {
  if (text === 'on' || text === 'off') return text === 'on';
  throw new LatchkeyError('invalid_request', `"${field}" must be on or off`, { exit: 2, field });
}

function certificatePolicyFrom(text: string): NonNullable<PolicyChange['certificate']> {
  if (text === 'required' || text === 'auto' || text === 'off') return text;
  throw new LatchkeyError('invalid_request', '"--certificate" must be required, auto or off', {
    exit: 2,
    field: '--certificate',
  });
}

function forkPolicyFrom(text: string): NonNullable<PolicyChange['forkPolicy']> {
  if (text === 'lock+purge' || text === 'lock' || text === 'alert') return text;
  throw new LatchkeyError('invalid_request', '"--on-fork" must be lock+purge, lock or alert', {
    exit: 2,
    field: '--on-fork',
  });
}

/** A name as clients and administrators have it; anything else is used wrongly. */
export function nameFrom(text: string, field = 'NAME'): string {
  try {
    return parseInput(clientName, text);
  } catch (cause) {
    throw new LatchkeyError(
      'invalid_request',
      `"${field}" must be 1 to 63 of a-z 0-9 . _ - and start with a letter or digit`,
      {
        exit: 2,
        field,
        cause,
      },
    );
  }
}

import { rmSync } from 'node:fs';
import type { Command } from 'commander';
import { type CommandIo, dataCommand, showTime } from '../../platform/command-io.ts';
import { printJson, printTable } from '../../platform/command-line.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { createSecretFile, readSecretFile, writeFileAtomic } from '../../platform/files.ts';
import { type UnsealOptions, unsealMethodFor, withUnsealOptions } from '../../platform/vault/unseal-options.ts';
import type { Vault } from '../../platform/vault/vault.ts';
import { sealMethodOf, unsealVault } from '../../platform/vault/vault-file.ts';
import { recordAdminCertificate } from '../certificates/admin.ts';
import { bundleOf, readAuthorities } from '../certificates/authorities.ts';
import { issuedFrom } from '../certificates/identity.ts';
import { type CertificateRow, findCertificate, revokeCertificate } from '../certificates/records.ts';
import { readListSources, writeRevocationLists } from '../certificates/revocations.ts';
import {
  assertMaySwitch,
  beginRollover,
  finishRollover,
  type Rollover,
  readRollover,
} from '../certificates/rollover.ts';
import { findClient } from '../clients/client-admin.ts';
import { authorityFile, revocationListFile } from '../data-directory.ts';
import { type ServerData, withServerData } from '../server-data.ts';
import { hostsToName, loadAuthority, renewServerIdentity } from '../server-secrets.ts';
import { nameFrom } from './client.ts';

interface DataOptions {
  readonly data: string;
  readonly json?: boolean;
}

interface ListOptions extends DataOptions {
  readonly all?: boolean;
  readonly client?: string;
}

interface VaultOptions extends DataOptions, UnsealOptions {}

interface ExportOptions extends VaultOptions {
  readonly name: string;
  readonly out: string;
  readonly passwordFile: string;
}

interface ForceOptions extends VaultOptions {
  readonly force?: boolean;
}

const shortestPassword = 12;

/** `cert list|show|revoke|renew-server|export-admin|crl|rollover`. */
export function addCertCommands(program: Command, io: CommandIo): void {
  const cert = program.command('cert').description('certificates of the server, its clients and administrators');
  dataCommand(cert, 'list', 'list the certificates that hold')
    .option('--all', 'those too that have ended')
    .option('--client <name>', "one client's only")
    .action((options: ListOptions) => list(options, io));
  dataCommand(cert, 'show <serial>', 'show one certificate; the first eight digits of its serial will do').action(
    (serial: string, options: DataOptions) => show(serial, options, io),
  );
  dataCommand(cert, 'revoke <serial>', "end a client's or an administrator's certificate at once").action(
    (serial: string, options: DataOptions) => revoke(serial, options, io),
  );
  withUnsealOptions(dataCommand(cert, 'renew-server', 'give the server a new certificate and key')).action(
    (options: VaultOptions) => renewServer(options, io),
  );
  withUnsealOptions(dataCommand(cert, 'export-admin', 'make a certificate for a browser, as a PKCS#12 file'))
    .requiredOption('--name <name>', 'whose it is')
    .requiredOption('--out <file>', 'the new file, mode 0600')
    .requiredOption('--password-file <file>', 'what protects it, at least 12 characters (mode 0600)')
    .action((options: ExportOptions) => exportAdmin(options, io));
  withUnsealOptions(dataCommand(cert, 'crl', 'write the revocation lists now')).action((options: VaultOptions) =>
    writeLists(options, io),
  );
  addRolloverCommands(cert, io);
}

function addRolloverCommands(cert: Command, io: CommandIo): void {
  const rollover = cert.command('rollover').description('put a new authority in the place of the present one');
  dataCommand(rollover, 'status', 'show how far it is, and which clients have followed').action(
    (options: DataOptions) => rolloverStatus(options, io),
  );
  withUnsealOptions(dataCommand(rollover, 'begin', 'make the new authority; both are trusted')).action(
    (options: VaultOptions) => rolloverBegin(options, io),
  );
  const force = ['--force', 'although clients would be left behind'] as const;
  withUnsealOptions(dataCommand(rollover, 'switch', 'serve with a certificate of the new authority'))
    .option(...force)
    .action((options: ForceOptions) => rolloverSwitch(options, io));
  dataCommand(rollover, 'finish', 'end the old authority and all it signed')
    .option(...force)
    .action((options: ForceOptions) => rolloverFinish(options, io));
}

/** A certificate as programs get it. */
function reportOf(row: CertificateRow, owner: string, now: number) {
  return {
    serial: row.serial,
    purpose: row.purpose,
    owner,
    client: row.client_id,
    state: stateOf(row, now),
    notBefore: row.not_before,
    notAfter: row.not_after,
    issuer: row.issuer,
    sha256: Buffer.from(row.digest).toString('hex'),
    issuedAt: row.issued_at,
    usedAt: row.used_at,
    revokedAt: row.revoked_at,
    revokeReason: row.revoke_reason,
  };
}

function stateOf(row: CertificateRow, now: number): 'holds' | 'unused' | 'revoked' | 'expired' | 'early' {
  if (row.revoked_at !== null) return 'revoked';
  if (now > row.not_after) return 'expired';
  if (now < row.not_before) return 'early';
  return row.purpose === 'client' && row.used_at === null ? 'unused' : 'holds';
}

function list(options: ListOptions, io: CommandIo): Promise<void> {
  return withServerData(options.data, async ({ store }) => {
    const now = io.clock.now();
    const reports = await store.read(async (tx) => {
      const client = options.client === undefined ? null : (await findClient(tx, options.client)).id;
      const names = new Map(
        (await tx.selectFrom('client').select(['id', 'name']).execute()).map((c) => [c.id, c.name]),
      );
      const rows = await tx
        .selectFrom('certificate')
        .selectAll()
        .$if(client !== null, (query) => query.where('client_id', '=', client))
        .$if(options.all !== true, (query) => query.where('revoked_at', 'is', null).where('not_after', '>=', now))
        .orderBy('purpose')
        .orderBy('issued_at')
        .execute();
      return rows.map((row) => reportOf(row, ownerOf(row, names), now));
    });
    if (options.json === true) return printJson(io.terminal, { certificates: reports });
    printTable(
      io.terminal,
      ['SERIAL', 'PURPOSE', 'OF', 'STATE', 'UNTIL', 'AUTHORITY'],
      reports.map((one) => [
        one.serial.slice(0, 16),
        one.purpose,
        one.owner,
        one.state,
        showTime(one.notAfter),
        one.issuer.slice(0, 8),
      ]),
    );
  });
}

function ownerOf(row: CertificateRow, names: ReadonlyMap<string, string>): string {
  if (row.client_id !== null) return names.get(row.client_id) ?? row.client_id;
  return row.name ?? 'this server';
}

function show(serial: string, options: DataOptions, io: CommandIo): Promise<void> {
  return withServerData(options.data, async ({ store }) => {
    const { row, owner } = await store.read(async (tx) => {
      const found = await findCertificate(tx, serial);
      const named = found.client_id === null ? null : await findClient(tx, found.client_id);
      return { row: found, owner: named?.name ?? found.name ?? 'this server' };
    });
    const report = reportOf(row, owner, io.clock.now());
    if (options.json === true) return printJson(io.terminal, { ...report, pem: row.pem });
    const lines: [string, string][] = [
      ['serial', report.serial],
      ['purpose', report.purpose],
      ['of', report.owner],
      ['state', report.revokeReason === null ? report.state : `${report.state}: ${report.revokeReason}`],
      ['from', showTime(report.notBefore)],
      ['until', showTime(report.notAfter)],
      ['issued', showTime(report.issuedAt)],
      ['used', showTime(report.usedAt)],
      ['revoked', showTime(report.revokedAt)],
      ['authority', report.issuer],
      ['sha256', report.sha256],
    ];
    for (const [label, value] of lines) io.terminal.stdout.write(`${label.padEnd(10)} ${value}\n`);
    io.terminal.stdout.write(row.pem);
  });
}

function revoke(serial: string, options: DataOptions, io: CommandIo): Promise<void> {
  return withServerData(options.data, async ({ store }) => {
    const { row, changed } = await store.transaction(async (tx) => {
      const found = await findCertificate(tx, serial);
      return { row: found, changed: await revokeCertificate(tx, found, io.clock.now()) };
    });
    if (options.json === true) return printJson(io.terminal, { revoked: row.serial, changed });
    const what = changed ? 'it is refused from now on' : 'it had ended before';
    io.terminal.stdout.write(`revoked ${row.serial}: ${what}\n`);
    if (changed && row.purpose === 'client') {
      io.terminal.stderr.write('keyserver: hint: its client needs keyserver client reset, unless it has renewed\n');
    }
  });
}

async function withVault<T>(
  options: VaultOptions,
  io: CommandIo,
  work: (data: ServerData, vault: Vault) => Promise<T>,
): Promise<T> {
  return withServerData(options.data, async (data) => {
    const method = await unsealMethodFor(await sealMethodOf(data.directory), options, io);
    return work(data, await unsealVault(data.directory, method, io.random));
  });
}

function renewServer(options: VaultOptions, io: CommandIo): Promise<void> {
  return withVault(options, io, async ({ store, config }, vault) => {
    const hosts = await hostsToName(store, config.hosts, config.database !== null);
    const identity = await renewServerIdentity(store, vault, hosts, io.clock.now(), io.random);
    const { serial, notAfter } = issuedFrom(identity.certificate);
    if (options.json === true) return printJson(io.terminal, { serial, notAfter });
    io.terminal.stdout.write(`new certificate ${serial}, until ${showTime(notAfter)}\n${served}`);
  });
}

const served = 'a running server serves with it within seconds; clients notice nothing\n';

function exportAdmin(options: ExportOptions, io: CommandIo): Promise<void> {
  const name = nameFrom(options.name, '--name');
  const password = readSecretFile(options.passwordFile, { max: 1024 })
    .toString('utf8')
    .replace(/\r?\n$/, '');
  if (password.length < shortestPassword || /[^\x20-\x7e]/.test(password)) {
    const message = `the password must be at least ${shortestPassword} printable ASCII characters`;
    throw new LatchkeyError('invalid_request', message, { exit: 2, field: '--password-file' });
  }
  return withVault(options, io, async ({ store }, vault) => {
    const now = io.clock.now();
    const [{ issueAdminIdentity }, { pkcs12 }] = await Promise.all([
      import('../certificates/issuing.ts'),
      import('../certificates/pkcs12.ts'),
    ]);
    const authority = await store.read((tx) => loadAuthority(tx, vault));
    const identity = await issueAdminIdentity(authority, name, now, io.random);
    const issued = issuedFrom(identity.certificate);
    const file = pkcs12(identity, [authority.certificate], `Latchkey ${name}`, password, io.random);
    createSecretFile(options.out, file);
    try {
      await store.transaction((tx) => recordAdminCertificate(tx, name, issued, authority.serial, now));
    } catch (cause) {
      rmSync(options.out, { force: true }); // a certificate that is not on file opens nothing
      throw cause;
    }
    const { serial, notAfter } = issued;
    if (options.json === true) return printJson(io.terminal, { serial, name, notAfter, file: options.out });
    io.terminal.stdout.write(
      `wrote ${options.out} for ${name}: certificate ${serial}, until ${showTime(notAfter)}\n` +
        'import it into the browser with the password, then delete the file\n',
    );
  });
}

function writeLists(options: VaultOptions, io: CommandIo): Promise<void> {
  return withVault(options, io, async ({ store, directory }, vault) => {
    const now = io.clock.now();
    const sources = await store.read((tx) => readListSources(tx, vault, now));
    await writeRevocationLists(directory, sources, now);
    const files = (['pem', 'der'] as const).map((form) => revocationListFile(directory, form));
    const revoked = sources.reduce((sum, { revocations }) => sum + revocations.length, 0);
    if (options.json === true) return printJson(io.terminal, { files, authorities: sources.length, revoked });
    io.terminal.stdout.write(`wrote ${files.join(' and ')}: ${revoked} revoked, good for a week\n`);
  });
}

function rolloverStatus(options: DataOptions, io: CommandIo): Promise<void> {
  return withServerData(options.data, async ({ store }) => printRollover(await store.read(readRollover), options, io));
}

function rolloverBegin(options: VaultOptions, io: CommandIo): Promise<void> {
  return withVault(options, io, async (data, vault) => {
    const { createAuthority } = await import('../certificates/issuing.ts');
    const now = io.clock.now();
    const name = `Latchkey key server ${new Date(now).toISOString().slice(0, 10)}`;
    const authority = await createAuthority(name, now, io.random);
    await data.store.transaction((tx) => beginRollover(tx, vault, authority, now));
    await afterRollover(data, options, io);
  });
}

function rolloverSwitch(options: ForceOptions, io: CommandIo): Promise<void> {
  return withVault(options, io, async (data, vault) => {
    const { store, config } = data;
    const issuer = await store.read((tx) => assertMaySwitch(tx, options.force === true));
    const hosts = await hostsToName(store, config.hosts, config.database !== null);
    await renewServerIdentity(store, vault, hosts, io.clock.now(), io.random, issuer);
    await afterRollover(data, options, io);
  });
}

function rolloverFinish(options: ForceOptions, io: CommandIo): Promise<void> {
  return withServerData(options.data, async (data) => {
    await data.store.transaction((tx) => finishRollover(tx, options.force === true, io.clock.now()));
    await afterRollover(data, options, io);
  });
}

/** `ca.pem` follows the database; a running server does the same, should this end here. */
async function afterRollover({ store, directory }: ServerData, options: DataOptions, io: CommandIo): Promise<void> {
  const { authorities, rollover } = await store.read(async (tx) => ({
    authorities: await readAuthorities(tx),
    rollover: await readRollover(tx),
  }));
  writeFileAtomic(authorityFile(directory), bundleOf(authorities), { mode: 0o644 });
  printRollover(rollover, options, io);
}

const nextStep = {
  none: 'no authority is being replaced',
  begun: 'clients are told by their heartbeats and renew; when all have followed: keyserver cert rollover switch',
  switched: 'when all is well: keyserver cert rollover finish',
} as const;

function printRollover(rollover: Rollover, options: DataOptions, io: CommandIo): void {
  const { phase, signing, ending, clients } = rollover;
  if (options.json === true) {
    printJson(io.terminal, { phase, signing: signing.serial, ending: ending?.serial ?? null, clients });
    return;
  }
  const { stdout, stderr } = io.terminal;
  stdout.write(`phase      ${phase}\nsigning    ${signing.serial}, until ${showTime(signing.notAfter)}\n`);
  if (ending !== null) stdout.write(`ending     ${ending.serial}\n`);
  for (const { name, ready, found } of clients) stdout.write(`${ready ? 'follows' : 'behind '}    ${name}: ${found}\n`);
  stderr.write(`keyserver: hint: ${nextStep[phase]}\n`);
}

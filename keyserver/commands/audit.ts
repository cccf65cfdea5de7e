import type { Command } from 'commander';
import { type AuditEntry, auditHead, readAudit, verifyAudit } from '../../platform/audit-chain.ts';
import { type CommandIo, dataCommand, showTime } from '../../platform/command-io.ts';
import { printJson } from '../../platform/command-line.ts';
import { parseInteger } from '../../platform/encoding.ts';
import { isLatchkeyError } from '../../platform/errors.ts';
import { raiseAuditBroken } from '../alerts/audit-watch.ts';
import { withServerData } from '../server-data.ts';

interface AuditOptions {
  readonly data: string;
  readonly lines?: string;
  readonly json?: boolean;
}

/** `audit verify|tail`. */
export function addAuditCommands(program: Command, io: CommandIo): void {
  const audit = program.command('audit').description('the log of everything that was asked and decided');
  dataCommand(audit, 'verify', 'check every record and signature').action((options: AuditOptions) =>
    verify(options, io),
  );
  dataCommand(audit, 'tail', 'show the last records')
    .option('-n, --lines <n>', 'how many', '20')
    .action((options: AuditOptions) => tail(options, io));
}

function verify(options: AuditOptions, io: CommandIo): Promise<void> {
  return withServerData(options.data, async ({ store, auditKey }) => {
    const report = await store
      .read((tx) => verifyAudit(tx, auditKey))
      .catch(async (error: unknown) => {
        if (isLatchkeyError(error, 'audit_broken')) {
          await store.transaction((tx) => raiseAuditBroken(tx, error, io.clock.now()));
        }
        throw error;
      });
    if (options.json === true) return printJson(io.terminal, { ok: true, ...report });
    const signed = `${report.signedTo} signed, the last at ${showTime(report.signedAt)}`;
    io.terminal.stdout.write(
      `ok: ${report.records} records follow each other, ${signed}\nhead ${report.head.seq} ${report.head.hash}\n`,
    );
  });
}

function tail(options: AuditOptions, io: CommandIo): Promise<void> {
  const count = parseInteger(options.lines ?? '20', '--lines', { min: 1, max: 10_000 });
  return withServerData(options.data, async ({ store }) => {
    const { rows, names } = await store.read(async (tx) => ({
      rows: await readAudit(tx, Math.max(0, (await auditHead(tx)).seq - count), count),
      names: new Map((await tx.selectFrom('client').select(['id', 'name']).execute()).map((row) => [row.id, row.name])),
    }));
    const records = rows.map((row) => ({
      ...(JSON.parse(row.body) as AuditLine),
      hash: Buffer.from(row.hash).toString('hex'),
    }));
    if (options.json === true) return printJson(io.terminal, { records });
    for (const record of records) io.terminal.stdout.write(`${showRecord(record, names)}\n`);
  });
}

/** A record as it is read back. */
type AuditLine = AuditEntry & { readonly seq: number };

/** One record on one line, clients by their name; control characters cannot get into it, records are JSON and quoted fields are clean. */
function showRecord(record: AuditLine, names: ReadonlyMap<string, string>): string {
  const refused = Object.entries(record.verdicts ?? {}).filter(([, verdict]) => verdict !== 'pass');
  const parts = [
    String(record.seq).padStart(6),
    showTime(record.time),
    record.event.padEnd(22),
    record.client === undefined ? '' : (names.get(record.client) ?? record.client),
    record.source ?? '',
    record.keys?.join(',') ?? '',
    record.reason === undefined ? '' : JSON.stringify(record.reason),
    ...refused.map(([gate, verdict]) => `${gate}=${verdict}`),
  ];
  return parts
    .filter((part) => part !== '')
    .join('  ')
    .trimEnd();
}

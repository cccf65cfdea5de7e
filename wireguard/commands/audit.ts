import type { Command } from 'commander';
import { auditHead, readAudit, verifyAudit } from '../../platform/audit-chain.ts';
import { type CommandIo, dataCommand, showTime } from '../../platform/command-io.ts';
import { printJson } from '../../platform/command-line.ts';
import { parseInteger } from '../../platform/encoding.ts';
import { withHubData } from '../data/hub-data.ts';

interface AuditOptions {
  readonly data: string;
  readonly lines: string;
  readonly after?: string;
  readonly json?: boolean;
}

/** `audit list|verify`. */
export function addAuditCommands(program: Command, io: CommandIo): void {
  const audit = program.command('audit').description('the log of everything that was changed and refused');
  dataCommand(audit, 'list', 'show records, the last ones unless told')
    .option('-n, --lines <n>', 'how many', '20')
    .option('--after <seq>', 'those that follow this record')
    .action((options: AuditOptions) => list(options, io));
  dataCommand(audit, 'verify', 'check every record and signature').action((options: AuditOptions) =>
    verify(options, io),
  );
}

function list(options: AuditOptions, io: CommandIo): Promise<void> {
  const count = parseInteger(options.lines, '--lines', { min: 1, max: 10_000 });
  const bounds = { min: 0, max: Number.MAX_SAFE_INTEGER };
  const after = options.after === undefined ? null : parseInteger(options.after, '--after', bounds);
  return withHubData(options.data, io.terminal.env, async ({ store }) => {
    const rows = await store.read(async (db) =>
      readAudit(db, after ?? Math.max(0, (await auditHead(db)).seq - count), count),
    );
    const records = rows.map(({ body, hash }) => ({
      ...(JSON.parse(body) as AuditLine),
      hash: Buffer.from(hash).toString('hex'),
    }));
    if (options.json === true) return printJson(io.terminal, { records });
    for (const record of records) io.terminal.stdout.write(`${showRecord(record)}\n`);
  });
}

function verify(options: AuditOptions, io: CommandIo): Promise<void> {
  return withHubData(options.data, io.terminal.env, async ({ store, auditKey }) => {
    const report = await store.read((db) => verifyAudit(db, auditKey));
    if (options.json === true) return printJson(io.terminal, { ok: true, ...report });
    const signed = `${report.signedTo} signed, the last at ${showTime(report.signedAt)}`;
    io.terminal.stdout.write(
      `ok: ${report.records} records follow each other, ${signed}\nhead ${report.head.seq} ${report.head.hash}\n`,
    );
  });
}

/** A record as it is read back. */
interface AuditLine {
  readonly seq: number;
  readonly time: number;
  readonly event: string;
  readonly source?: string;
  readonly reason?: string;
  readonly detail?: Readonly<Record<string, unknown>>;
}

/** One record on one line: what others chose (names, subjects) is quoted, and cannot move the cursor. */
function showRecord({ seq, time, event, source, reason, detail = {} }: AuditLine): string {
  const facts = Object.entries({ ...(reason === undefined ? {} : { reason }), ...detail });
  const parts = [
    String(seq).padStart(6),
    showTime(time),
    event.padEnd(24),
    source ?? '-',
    ...facts.map(([name, value]) => `${name}=${quoted(value)}`),
  ];
  return parts.join('  ').trimEnd();
}

function quoted(value: unknown): string {
  const text = typeof value === 'string' && /^[\w.:/@+=,-]+$/.test(value) ? value : JSON.stringify(value);
  return text.replace(/\p{C}/gu, (sign) => `\\u{${(sign.codePointAt(0) ?? 0).toString(16)}}`);
}

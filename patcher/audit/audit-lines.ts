import type { Terminal } from '../../platform/command-line.ts';
import type { AuditReport } from './audit.ts';
import type { Finding, FindingKind } from './verdict.ts';

const WORDS: Readonly<Record<FindingKind, string>> = {
  changed: 'changed',
  added: 'added',
  missing: 'missing',
  unreadable: 'unread',
  signature_refused: 'signature',
  signature_missing: 'signature',
  certificate_revoked: 'revoked',
  other_version: 'version',
  foreign_code: 'foreign',
  settings_code: 'settings',
  web_server_rule: 'rule',
  link_outside: 'link',
  special_file: 'special',
  own_app_differs: 'own app',
  changed_since: 'changed since',
  new_since: 'new since',
  gone_since: 'gone since',
};

/** Of one kind and part, so that a whole tree of another version does not scroll all else away; `--json` has every one. */
const SHOWN = 40;
const WIDTH = { alone: 9, since: 13 } as const;

/** The report for people. Names of files come from the target: they are shown quoted where a terminal could be misled. */
export function printAudit(terminal: Pick<Terminal, 'stdout'>, report: AuditReport): void {
  const width = report.baseline === null ? WIDTH.alone : WIDTH.since;
  const say = (line: string): void => void terminal.stdout.write(`${line}\n`);
  const groups = Map.groupBy(report.findings, ({ kind, part }) => `${kind} ${part}`);
  for (const group of groups.values()) {
    for (const { kind, path, part, words } of group.slice(0, SHOWN)) {
      say(`${WORDS[kind].padEnd(width)}  ${shown(path)}  (${shown(part)})${words === null ? '' : `: ${shown(words)}`}`);
    }
    const [first] = group;
    if (group.length > SHOWN && first !== undefined) {
      const rest = `and ${group.length - SHOWN} more in ${shown(first.part)}; --json has all of them`;
      say(`${WORDS[first.kind].padEnd(width)}  ${rest}`);
    }
  }
  for (const { path, words } of report.remarks) say(`${'note'.padEnd(width)}  ${shown(path)}: ${shown(words)}`);
  const apps = report.verified.filter((id) => id !== 'core').length;
  const core = report.verified.includes('core') ? 'core' : 'no core';
  say(
    `${report.files} files of ${report.root}, Nextcloud ${report.version ?? 'of no known version'}; signed: ${core}, ${apps} apps`,
  );
  say(report.clean ? cleanWords(report) : `${report.findings.length} findings`);
}

/** What was accepted, for people. */
export function printAccepted({ stdout }: Pick<Terminal, 'stdout'>, accepted: readonly Finding[], left: number): void {
  for (const { kind, path } of accepted) stdout.write(`accepted   ${shown(path)}: ${WORDS[kind]}\n`);
  stdout.write(`${accepted.length} accepted, ${left} left\n`);
}

function cleanWords({ baseline }: AuditReport): string {
  const signed = 'nothing was changed that is signed, and nothing added that could run';
  return baseline === null ? signed : `${signed}; the rest is as it was on ${baseline.slice(0, 10)}`;
}

function shown(text: string): string {
  return /\p{C}/u.test(text) ? JSON.stringify(text).replace(/\p{C}/gu, escaped) : text;
}

function escaped(letter: string): string {
  return `\\u{${(letter.codePointAt(0) ?? 0).toString(16)}}`;
}

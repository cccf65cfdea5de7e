import type { JournalState } from '../journal/journal.ts';
import type { Step } from '../plan.ts';
import { bad, type Finding, info, ok, spanWords, unknown, warn } from './finding.ts';

export interface OwnStateEvidence {
  readonly journal: JournalState | null;
  /** What `apply` would do now; `null` where that could not be planned. */
  readonly steps: readonly Step[] | null;
  /** Version of the app this ncpatch brings along, and of the one that is there. */
  readonly version: { readonly brought: string; readonly there: string | null };
  /** Whether something notices when an upgrade takes the app away; `null` where that could not be told. */
  readonly watch: 'installed' | 'partly' | 'absent' | null;
  readonly keysAway: readonly string[] | null;
}

/** Pure: what ncpatch itself has to do here. */
export function ownStateFindings(evidence: OwnStateEvidence, now: number): Finding[] {
  return [...transaction(evidence, now), ...due(evidence), ...watch(evidence)];
}

function transaction({ journal }: OwnStateEvidence, now: number): Finding[] {
  if (journal === null)
    return [
      unknown('journal_unknown', 'the journal of ncpatch could not be read', { fix: 'connect as root, or add --sudo' }),
    ];
  if (journal.phase === 'none') return [ok('no_transaction', 'no change is half done')];
  const since = journal.since === null ? '' : `, ${spanWords(now - journal.since)} ago`;
  return [
    bad(
      'transaction_open',
      `"${journal.command ?? 'a run'}" of ${journal.by ?? 'somebody'} did not come to its end${since}`,
      {
        why: 'the server is between two states',
        fix: 'ncpatch apply goes on from there; ncpatch rollback undoes it',
        seen: journal.steps.map(({ what, state }) => `${state}: ${what}`),
      },
    ),
  ];
}

const WORDS: Readonly<Partial<Record<Step['kind'], string>>> = {
  make_folder: 'make a folder',
  close_web: 'close the web meanwhile',
  set_apps_paths: 'name an apps path',
  deploy_app: 'bring the app up to date',
  remove_tree: 'remove an old copy of the app',
  enable_app: 'enable the app',
  upgrade_app: 'upgrade the app',
  write_file: 'write a file',
  remove_file: 'remove a file',
  start_timer: 'start a timer',
};

function due({ steps, version, keysAway }: OwnStateEvidence): Finding[] {
  if (steps === null)
    return [unknown('plan_unknown', 'what "apply" would do could not be planned', { fix: 'ncpatch plan' })];
  if (steps.length === 0) return [ok('nothing_due', `the app is as this ncpatch brings it (${version.brought})`)];
  const counts = new Map<string, number>();
  for (const { kind } of steps) {
    const words = WORDS[kind] ?? kind.replaceAll('_', ' ');
    counts.set(words, (counts.get(words) ?? 0) + 1);
  }
  const words = [...counts].map(([what, times]) => (times === 1 ? what : `${what} (${times})`));
  const report = (keysAway?.length ?? 0) > 0 ? warn : info;
  return [
    report(
      'apply_due',
      `"ncpatch apply" would change something${version.there === null || version.there === version.brought ? '' : ` (app ${version.there}, here ${version.brought})`}`,
      {
        fix: 'ncpatch plan; ncpatch apply',
        seen: words,
      },
    ),
  ];
}

function watch({ watch: state, keysAway }: OwnStateEvidence): Finding[] {
  switch (state) {
    case 'installed':
      return [ok('watch', 'the watch is installed')];
    case 'partly':
      return [warn('watch_partly', 'the watch is there only in part', { fix: 'ncpatch watch install' })];
    case 'absent':
      return (keysAway?.length ?? 0) === 0
        ? []
        : [
            info('watch_absent', 'nothing here notices when an upgrade takes the app away', {
              why: 'between that and the next "apply" no file opens, and one that is overwritten is lost',
              fix: 'ncpatch watch install',
            }),
          ];
    case null:
      return [];
  }
}

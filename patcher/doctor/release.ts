import type { LatchkeyError } from '../../platform/errors.ts';
import type { Facts } from '../facts.ts';
import type { AppStatus, Preflight, Problem } from '../keys/remote-key.ts';
import { bad, type Finding, info, ok, unknown, warn } from './finding.ts';

export type Answer<T> =
  | { readonly value: T; readonly error: null }
  | { readonly value: null; readonly error: LatchkeyError };

export interface ReleaseEvidence {
  readonly facts: Facts | null;
  readonly keysAway: readonly string[] | null;
  /** Whether the key server was to be asked for anything. */
  readonly asked: boolean;
  /** These four are `null` where they were not asked. */
  readonly status: Answer<AppStatus> | null;
  readonly released: Answer<{
    readonly release: boolean;
    readonly decrypt: boolean;
    readonly ms: number;
    readonly verdict: string;
  }> | null;
  readonly look: Answer<Preflight> | null;
  readonly encryption: Answer<{ readonly enabled: boolean }> | null;
}

/** Told by another decider, from better evidence; or about ncpatch's own way of calling occ. */
const TOLD_ELSEWHERE = new Set([
  ...['exception_args_logged', 'swap_on', 'apcu_on_disk', 'not_enrolled', 'encryption_off', 'user_key_mode'],
  ...['certificate_expired', 'certificate_ending', 'heartbeat_silent'],
  ...['keys_local', 'keys_left_here', 'key_copy', 'config_copy', 'log_holds_key', 'sessions_stored', 'sessions_unread'],
  ...[
    'state_mode',
    'state_owner',
    'hook_off',
    'sessions_hold_key',
    'foreign_share_keys',
    'sample_unreadable',
    'master_key_missing',
  ],
]);

/** A release that takes longer makes people wait at each first click. */
const SLOW_MS = 2_000;

/** Pure: whether Nextcloud asks the app, the app gets a key, and the key opens files. */
export function releaseFindings(evidence: ReleaseEvidence): Finding[] {
  const { facts, status, released, look } = evidence;
  if (facts === null)
    return [unknown('release_untried', 'nothing could be asked of nextcloud, so no release was tried')];
  const away = (evidence.keysAway?.length ?? 0) > 0;
  return [
    ...encryptionFindings(evidence, facts),
    ...hook(facts, status, away),
    ...releaseFinding(evidence, away),
    ...(released === null && look === null ? [] : canary(evidence, away)),
    ...(look?.value == null ? [] : shareKeys(look.value)),
    ...problems(status, look),
  ];
}

function encryptionFindings({ encryption }: ReleaseEvidence, facts: Facts): Finding[] {
  if (facts.encryption.mode === 'off') {
    return [
      warn('encryption_off', 'server-side encryption is off: files are stored in clear', {
        fix: 'occ app:enable encryption; occ encryption:enable',
      }),
    ];
  }
  if (encryption?.value?.enabled === false) {
    return [
      bad('encryption_off', '"occ encryption:status" says that encryption is off', { fix: 'occ encryption:enable' }),
    ];
  }
  if (facts.encryption.mode === 'user') {
    return [
      warn('user_key_mode', 'each user has a key of their own; those stay on this disk', {
        fix: 'occ encryption:enable-master-key on a new server',
      }),
    ];
  }
  return [ok('encryption', `encryption by the master key ${facts.encryption.masterKeyId ?? ''}`.trim())];
}

function hook(facts: Facts, status: Answer<AppStatus> | null, away: boolean): Finding[] {
  const { app } = facts;
  if (app.files === null || !app.enabled) {
    const what =
      app.files === null ? 'the app remotekeystorage is not installed' : 'the app remotekeystorage is switched off';
    return [
      away
        ? bad(app.files === null ? 'app_absent' : 'app_disabled', `${what}, but the keys are away`, {
            why: 'no file opens, and one that is overwritten now is lost: switch maintenance mode on',
            fix: 'ncpatch apply',
          })
        : info(app.files === null ? 'app_absent' : 'app_disabled', what, { fix: 'ncpatch apply' }),
    ];
  }
  if (status === null) return [];
  if (status.error !== null) {
    return [
      unknown('status_failed', `the app could not be asked: ${status.error.message} (${status.error.code})`, {
        fix: status.error.hint ?? null,
      }),
    ];
  }
  if (status.value.hook === 'off') {
    const report = away ? bad : warn;
    return [
      report('hook_off', 'the app is enabled, but nextcloud does not ask it for keys', {
        why: 'its files or its registration are broken; errors at that point only reach the log',
        fix: 'ncpatch apply; look for "remotekeystorage" in nextcloud.log',
      }),
    ];
  }
  const found = [ok('hook', `hook ${status.value.hook} is live`)];
  if (away && !status.value.sessionsKeyFree) {
    return [
      ...found,
      bad('sessions_get_key', 'the opened key still goes into PHP sessions', {
        why: 'this version of nextcloud is not one whose sessions the app can keep clean',
        fix: 'session.save_path on a tmpfs, until the app knows this version',
      }),
    ];
  }
  return found;
}

function releaseFinding({ released, asked }: ReleaseEvidence, away: boolean): Finding[] {
  if (!away) return [info('no_key_moved', 'no key has moved yet, so none is released', { fix: 'ncpatch escrow' })];
  if (released === null)
    return asked
      ? [unknown('release_untried', 'no release was tried')]
      : [unknown('release_unasked', 'the key server was not asked (--no-release)')];
  if (released.error !== null) {
    return [
      bad('release_failed', `no key was released: ${released.error.message} (${released.error.code})`, {
        fix: released.error.hint ?? 'ncpatch verify',
      }),
    ];
  }
  const { release, ms } = released.value;
  if (!release) return [bad('release_failed', 'no key was released', { fix: 'ncpatch verify' })];
  if (ms > SLOW_MS) {
    return [
      warn('release_slow', `the key server took ${ms} ms for a release`, {
        why: 'people wait for it whenever no key is cached',
        fix: 'look at its load, and at the tunnel',
      }),
    ];
  }
  return [ok('release', `released in ${ms} ms`)];
}

/** The key opens its public half, and files that are there read through Nextcloud: also what to compare with later. */
function canary({ released, look }: ReleaseEvidence, away: boolean): Finding[] {
  const found: Finding[] = [];
  if (away && released?.value != null) {
    found.push(
      released.value.decrypt
        ? ok('canary', 'the released key opens what it should')
        : bad(
            'canary_failed',
            "the released key does not open what it should: another key, or config.php's secret was changed",
            {
              fix: 'compare "secret" and "instanceid" in config.php with a backup; the way back is: ncpatch restore --from-copy FILE',
            },
          ),
    );
  }
  if (look === null) return found;
  if (look.error !== null) {
    if (look.error.code === released?.error?.code) return found;
    return [
      ...found,
      unknown('sample_untried', `no file could be read for a try: ${look.error.message} (${look.error.code})`, {
        fix: look.error.hint ?? null,
      }),
    ];
  }
  const unreadable = look.value.problems.filter(({ code }) => code === 'sample_unreadable');
  const read = look.value.sample.length;
  if (read === 0 && unreadable.length > 0) {
    found.push(
      bad('no_file_opens', `none of ${unreadable.length} files that were tried can be decrypted`, {
        fix: 'ncpatch verify; keep maintenance mode on until it works',
        seen: unreadable.map(({ message }) => message),
      }),
    );
  } else if (unreadable.length > 0) {
    found.push(
      warn(
        'sample_unreadable',
        `${unreadable.length} of ${read + unreadable.length} files that were tried cannot be decrypted`,
        {
          why: 'if they could not before the app came, nextcloud itself has damaged them: several of its releases did',
          fix: 'occ encryption:scan:legacy-format; restore them from a backup',
          seen: unreadable.map(({ message }) => message),
        },
      ),
    );
  } else if (read > 0) found.push(ok('sample', `${read} of ${read} files decrypt`));
  else found.push(info('sample_empty', 'there is no encrypted file to try'));
  const lost = look.value.problems.find(({ code }) => code === 'master_key_missing');
  if (lost !== undefined) found.push(bad(lost.code, lost.message, { fix: lost.hint }));
  return found;
}

function shareKeys({ foreignShareKeys }: Preflight): Finding[] {
  if (foreignShareKeys === 0) return [ok('share_keys', 'every share key is sealed to the master key')];
  return [
    warn('foreign_share_keys', `${foreignShareKeys} share keys are sealed to other keys than the master key`, {
      why: 'those files, from before master-key mode, open with keys of users, links or recovery that stay on this disk',
      fix: 'have these files encrypted anew: occ encryption:decrypt-all, then occ encryption:encrypt-all, with the keys restored',
    }),
  ];
}

function problems(status: ReleaseEvidence['status'], look: ReleaseEvidence['look']): Finding[] {
  const all = [...(status?.value?.problems ?? []), ...(look?.value?.problems ?? [])];
  const first = new Map<string, Problem>();
  for (const problem of all)
    if (!TOLD_ELSEWHERE.has(problem.code) && !first.has(problem.code)) first.set(problem.code, problem);
  return [...first.values()].map(({ code, message, hint, blocking }) =>
    (blocking === true ? bad : warn)(code, message, { fix: hint }),
  );
}

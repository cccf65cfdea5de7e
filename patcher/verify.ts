import { isLatchkeyError, LatchkeyError } from '../platform/errors.ts';
import type { Occ } from './actions/action.ts';
import type { Facts } from './facts.ts';
import { type AppStatus, remoteKey } from './keys/remote-key.ts';
import type { Progress } from './progress.ts';

/** What was shown to work, not what is believed to. */
export interface Verification {
  readonly hook: 'app' | 'core';
  /** `null` while no key has moved: there is nothing to release yet. */
  readonly release: { readonly ms: number } | null;
  /** The master key opens what its public half sealed; `null` where encryption is off. */
  readonly decrypt: true | null;
  /** Files read through Nextcloud; counted before the move only. */
  readonly files: number | null;
  /** Why the key server gave no key although it was asked; `null` when it was not, or did. */
  readonly untried: { readonly code: string; readonly message: string; readonly hint: string | null } | null;
}

/** What the key server, or nobody in its place, answers. Nothing of it is the fault of the app on this server. */
const KEY_SERVER_SAYS = new Set([
  ...['unreachable', 'timeout', 'tls_failed', 'bad_answer', 'sealed', 'degraded', 'killed', 'locked', 'unauthorized'],
  ...['source_refused', 'rate_limited', 'approval_pending', 'stale_message', 'not_found'],
]);

/** Shows that the app is loaded and asked for keys. Throws `app_not_loaded` or `hook_off`. */
export async function verifyLoaded(
  occ: Occ,
  facts: Facts,
  progress: Progress,
): Promise<AppStatus & { hook: 'app' | 'core' }> {
  if (!facts.app.enabled || facts.app.files === null) {
    throw new LatchkeyError('app_not_loaded', 'the app is not installed or switched off', {
      hint: 'run: ncpatch apply',
    });
  }
  progress.step('verify that the app is loaded');
  const status = await remoteKey(occ).status();
  const { hook } = status;
  if (hook === 'off') {
    throw new LatchkeyError('hook_off', 'the app is enabled, but nextcloud does not ask it for keys', {
      hint: 'look for errors of "remotekeystorage" in nextcloud.log',
    });
  }
  if (facts.core?.state === 'patched' && hook !== 'core') {
    throw new LatchkeyError('hook_not_core', `${facts.core.path} holds the hook, but nextcloud does not run it`, {
      hint: 'look into the log of PHP for errors of "remotekeystorage"; see "ncpatch plan --hook app" for the other way',
    });
  }
  return { ...status, hook };
}

/**
 * Shows that the app is loaded and keys can be used: before the move with the keys on the disk, after it by a real
 * release and a real decryption. Throws what is wrong: `app_not_loaded`, `hook_off`, `decryption_failed`, or the code of
 * the refusal.
 */
export async function verify(occ: Occ, facts: Facts, progress: Progress): Promise<Verification> {
  const app = remoteKey(occ);
  const status = await verifyLoaded(occ, facts, progress);
  if (status.keys.length > 0) {
    progress.step('verify by a release from the key server and a decryption');
    const { release, decrypt, ms, verdict } = await app.verify();
    if (!release || !decrypt) {
      throw new LatchkeyError('decryption_failed', `the key server's key does not open what it should (${verdict})`, {
        hint: 'check "secret" and "instanceid" in config.php; the owner\'s copy is the way back: ncpatch restore --from-copy',
      });
    }
    return { hook: status.hook, release: { ms }, decrypt: true, files: null, untried: null };
  }
  if (facts.encryption.mode === 'off')
    return { hook: status.hook, release: null, decrypt: null, files: null, untried: null };
  progress.step('verify that the keys on the disk open');
  const look = await app.preflight();
  const broken = look.problems.find((problem) => problem.code === 'master_key_unusable');
  const unreadable = look.problems.filter((problem) => problem.code === 'sample_unreadable');
  // single files may be damaged since long ago; that none can be read is another matter
  const failure = broken ?? (look.sample.length === 0 ? unreadable[0] : undefined);
  if (failure !== undefined) {
    throw new LatchkeyError('decryption_failed', failure.message, { hint: failure.hint });
  }
  for (const problem of unreadable) progress.note(`${problem.message}: ${problem.hint}`);
  return { hook: status.hook, release: null, decrypt: true, files: look.sample.length, untried: null };
}

/**
 * The same for a repair. That the key server is away, or refuses, is no reason to take a repaired app away again: without
 * it overwritten files would be lost. It is loaded and asked for keys; `untried` tells what could not be shown.
 */
export async function verifyRepair(occ: Occ, facts: Facts, progress: Progress): Promise<Verification> {
  try {
    return await verify(occ, facts, progress);
  } catch (error) {
    if (!isLatchkeyError(error) || !KEY_SERVER_SAYS.has(error.code)) throw error;
    const { hook } = await verifyLoaded(occ, facts, progress);
    const untried = { code: error.code, message: error.message, hint: error.hint ?? null };
    return { hook, release: null, decrypt: null, files: null, untried };
  }
}

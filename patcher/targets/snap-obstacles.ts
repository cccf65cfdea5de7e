import { APP_ID, type Facts, type Obstacle } from '../facts.ts';
import { SNAP, SNAP_VAR } from './snap-places.ts';

/** Pure: what is special about a Nextcloud that is a snap; nothing for any other. */
export function snapObstacles(facts: Facts): Obstacle[] {
  const { snap } = facts;
  if (snap === undefined) return [];
  const found: Obstacle[] = [];
  const note = (code: string, message: string, hint: string, blocking = false): void =>
    void found.push({ code, message, hint, blocking });
  const pinned = facts.appsPaths.find(({ path, writable }) => writable && isOfOneRevision(path));
  if (pinned !== undefined) {
    note(
      'apps_path_of_one_revision',
      `config.php names ${pinned.path}, which the next refresh leaves behind`,
      `in "apps_paths" of config.php write ${SNAP_VAR}/current/nextcloud/extra-apps`,
      true,
    );
  }
  if (isOfOneRevision(facts.stateFolder.path) || facts.stateFolder.path.startsWith(`${SNAP_VAR}/current/`)) {
    note(
      'state_of_one_revision',
      `the state folder ${facts.stateFolder.path} belongs to one revision, and "snap revert" would turn it back`,
      `enrol again into ${SNAP_VAR}/common: remove "remotekeystorage.dir" from config.php, apply, enroll`,
      true,
    );
  }
  if (snap.held === null) {
    note(
      'snap_not_held',
      'snapd refreshes this Nextcloud by itself, up to four times a day; the app stays, but nobody looks on',
      `snap refresh --hold ${SNAP}, then refresh by hand and run "ncpatch apply"`,
    );
  }
  for (const mode of snap.notes.filter((one) => one === 'devmode' || one === 'try')) {
    note(
      `snap_${mode}`,
      mode === 'devmode'
        ? 'the snap runs in devmode, without confinement'
        : 'the snap runs from a folder that can be written to ("snap try")',
      `install the published one: snap refresh ${SNAP} --amend --channel=latest/stable`,
    );
  }
  if (facts.caches.local?.endsWith('Redis') === true) {
    note(
      'cache_is_redis',
      "nextcloud's local cache is Redis, which the snap writes to disk; no key is ever put there",
      `the app keeps keys in ${facts.web?.apcu === true ? 'APCu and ' : ''}the memory of each process, whatever "memcache.local" says`,
    );
  }
  if (facts.app.state === 'enrolled' || facts.app.state === 'escrowed') {
    for (const { path, words, hint } of snap.copies) {
      note('snap_keeps_copies', `${words} in ${path} hold what belongs to the keys`, hint);
    }
  }
  return found;
}

/** True for a folder of `/var/snap/nextcloud/12345`, or of the code of that revision. */
function isOfOneRevision(path: string): boolean {
  return new RegExp(`/${SNAP}/x?[0-9]+/`).test(path.replace(`/${APP_ID}`, ''));
}

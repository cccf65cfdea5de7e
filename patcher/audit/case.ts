import { isLatchkeyError } from '../../platform/errors.ts';
import { compareVersions, parseVersionFile, type VersionFile } from '../targets/version-file.ts';
import { type Revocations, readRevocations } from '../vendor/vendor-revocations.ts';
import type { Evidence } from './evidence.ts';
import { markOf, textOf } from './listing-parts.ts';
import type { Notebook } from './notebook.ts';

/** One Nextcloud under judgment: the evidence, and what all judges need to know of it. */
export interface Case {
  readonly evidence: Evidence;
  readonly notes: Notebook;
  /** `resources/codesigning/root.crt` of the tree; only the pinned authorities in it count. */
  readonly rootCrt: string;
  /** Apps that belong to the server. */
  readonly shipped: ReadonlySet<string>;
  readonly version: VersionFile | null;
  readonly revocations: Revocations | null;
}

const LIST = 'resources/codesigning/root.crl';

/** Reads what the judges need; what is wrong with it is written down. */
export function openCase(evidence: Evidence, notes: Notebook): Case {
  const rootCrt = textOf(evidence.tree, 'resources/codesigning/root.crt') ?? '';
  const shipped = shippedApps(textOf(evidence.tree, 'core/shipped.json'));
  const version = readVersion(evidence, notes);
  return { evidence, notes, rootCrt, shipped, version, revocations: newestRevocations(evidence, notes, rootCrt) };
}

function shippedApps(text: string | null): ReadonlySet<string> {
  try {
    const value = (JSON.parse(text ?? '') as { shippedApps?: unknown }).shippedApps;
    return new Set(Array.isArray(value) ? value.filter((id) => typeof id === 'string') : []);
  } catch {
    return new Set(); // core/shipped.json is signed: its damage is told as a changed file
  }
}

function readVersion({ root, tree, settings }: Evidence, notes: Notebook): VersionFile | null {
  const path = `${root}/version.php`;
  const mark = markOf(tree, 'version.php');
  let version: VersionFile;
  try {
    version = parseVersionFile(textOf(tree, 'version.php') ?? '');
  } catch (error) {
    if (!isLatchkeyError(error, 'version_unreadable')) throw error;
    notes.find('other_version', 'core', path, { words: error.message, mark });
    return null;
  }
  const ran = settings?.version ?? null;
  if (ran === null) return version;
  const order = compareVersions(version.version, ran);
  const words = `the code is ${version.version}, config.php says ${ran} has run`;
  if (order < 0) notes.find('other_version', 'core', path, { words: `${words}: older code was put in place`, mark });
  if (order > 0) notes.remark('upgrade_waits', path, words);
  return version;
}

/** Of the tree's own list and the one seen before: an old tree must not hide what was revoked since. */
function newestRevocations(evidence: Evidence, notes: Notebook, rootCrt: string): Revocations | null {
  const path = `${evidence.root}/${LIST}`;
  const known = evidence.revocations === null ? null : readOrNull(evidence.revocations, rootCrt);
  const text = textOf(evidence.tree, LIST);
  if (text === null) {
    const words = 'not there, or not read whole: revoked certificates are known from the baseline at the most';
    notes.remark('not_looked_at', path, words);
    return known;
  }
  const here = readOrNull(text, rootCrt);
  if (here === null) {
    const words = 'the list of revoked certificates does not carry the signature of the vendor';
    notes.find('signature_refused', 'core', path, { words, mark: markOf(evidence.tree, LIST) });
    return known;
  }
  if (known === null || known.number <= here.number) return here;
  const words = `list ${here.number} of revoked certificates, and ${known.number} was seen before: that one counts`;
  notes.remark('older_revocations', path, words);
  return known;
}

function readOrNull(pem: string, rootCrt: string): Revocations | null {
  try {
    return readRevocations(pem, { rootCrt });
  } catch (error) {
    if (!isLatchkeyError(error, 'vendor_signature_invalid')) throw error;
    return null;
  }
}

import { LatchkeyError } from '../../platform/errors.ts';
import { versionOrder } from './app-version.ts';
import type { StablePath } from './stable-path.ts';
import type { Finding, FindingKind, Seen, SeenApp } from './verdict.ts';

/** Which Nextcloud a baseline is of. */
export interface Server {
  /** `instanceid` of its config.php, `null` where none can be read. */
  readonly instance: string | null;
  readonly root: string;
}

/** A finding that somebody looked at and lets be, as long as the same is there. */
export interface Accepted {
  readonly kind: FindingKind;
  readonly path: string;
  readonly mark: string;
  readonly reason: string;
  /** ISO 8601. */
  readonly at: string;
}

/** What an auditor keeps of one Nextcloud between audits; all paths are stable ones. */
export interface Baseline {
  readonly server: Server;
  /** ISO 8601. */
  readonly madeAt: string;
  /** The highest version that was seen, as signed. */
  readonly core: string | null;
  /** By the app's folder; the highest version of signed ones, the accepted one of others. */
  readonly apps: ReadonlyMap<string, SeenApp>;
  /** Part → path → mark of what no signed list covers. */
  readonly open: ReadonlyMap<string, ReadonlyMap<string, string>>;
  /** The newest list of revoked certificates, PEM. */
  readonly revocations: string | null;
  readonly accepted: readonly Accepted[];
}

/** Refuses a baseline of another Nextcloud (`baseline_other`, exit 3). */
export function assertSameServer(baseline: Baseline, server: Server): void {
  const other = baseline.server;
  // one that lost its config.php is still the same, and it is told what it lacks
  const sameInstance = server.instance === null || other.instance === null || server.instance === other.instance;
  if (sameInstance && server.root === other.root) return;
  const [is, was] = [server, other].map(({ instance, root }) => `${instance ?? 'no instance id'} in ${root}`);
  throw new LatchkeyError('baseline_other', `the baseline is of ${was}, and this is ${is}`, {
    exit: 3,
    hint: 'each nextcloud has a baseline of its own; one that moved needs a new one: --new-baseline with another file',
  });
}

/** The first one: everything as it is, nothing accepted. */
export function firstBaseline(seen: Seen, server: Server, about: { stable: StablePath; at: Date }): Baseline {
  const { stable, at } = about;
  return {
    server,
    madeAt: at.toISOString(),
    core: seen.core,
    apps: new Map([...seen.apps].map(([path, app]) => [stable(path), app])),
    open: stableOpen(seen, stable),
    revocations: seen.revocations,
    accepted: [],
  };
}

export function stableOpen(seen: Seen, stable: StablePath): Map<string, Map<string, string>> {
  return new Map(
    [...seen.open].map(([part, files]) => [part, new Map([...files].map(([path, mark]) => [stable(path), mark]))]),
  );
}

/** True for a folder and all in it. */
export function isAtOrBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

/**
 * What only ever goes up, and only by what the vendor signed: versions, signers, the list of revoked certificates. Answers
 * the same object when nothing did.
 */
export function raised(baseline: Baseline, seen: Seen, stable: StablePath): Baseline {
  const apps = new Map(baseline.apps);
  let open = baseline.open;
  let isRaised = false;
  for (const [shown, app] of seen.apps) {
    const path = stable(shown);
    const before = apps.get(path);
    if (app.signer === null || app.version === null) continue;
    if (before !== undefined && before.signer !== null && !isNewer(app.version, before.version)) continue;
    apps.set(path, app);
    open = renew(open, new Map(), (file) => isAtOrBelow(file, path)); // its list covers them now
    isRaised = true;
  }
  const core = seen.core !== null && isNewer(seen.core, baseline.core) ? seen.core : baseline.core;
  const revocations = seen.revocations ?? baseline.revocations;
  if (!isRaised && core === baseline.core && revocations === baseline.revocations) return baseline;
  return { ...baseline, core, apps, open, revocations };
}

/** True when there is no second, too. */
function isNewer(version: string, than: string | null): boolean {
  return than === null || (versionOrder(version, than) ?? 0) > 0;
}

const SINCE: readonly FindingKind[] = ['changed_since', 'new_since', 'gone_since'];

/**
 * With these findings let be: what differs from the baseline becomes the baseline, everything else is accepted as it is now.
 * `cannot_accept` (exit 3) for what nobody could look at.
 */
export function accepting(
  baseline: Baseline,
  findings: readonly Finding[],
  seen: Seen,
  about: { readonly stable: StablePath; readonly reason: string; readonly at: Date },
): Baseline {
  const { stable, reason } = about;
  const at = about.at.toISOString();
  const renewed = findings.filter(({ kind }) => SINCE.includes(kind)).map(({ path }) => stable(path));
  const accepted = findings
    .filter(({ kind }) => !SINCE.includes(kind))
    .map((finding): Accepted => {
      if (finding.mark === null) {
        throw new LatchkeyError('cannot_accept', `${JSON.stringify(finding.path)} could not be read`, {
          exit: 3,
          hint: 'what nobody saw cannot be accepted: use --sudo',
        });
      }
      return { kind: finding.kind, path: stable(finding.path), mark: finding.mark, reason, at };
    });
  const again = new Set(accepted.map(({ kind, path }) => `${kind} ${path}`));
  const kept = baseline.accepted.filter(({ kind, path }) => !again.has(`${kind} ${path}`));
  const isRenewed = (path: string): boolean => renewed.some((folder) => isAtOrBelow(path, folder));
  const apps = new Map(baseline.apps);
  for (const [path, app] of seen.apps)
    if (app.signer === null && holds(renewed, stable(path))) apps.set(stable(path), app);
  for (const path of renewed) if (!hasApp(seen, path, stable)) apps.delete(path);
  return {
    ...baseline,
    madeAt: at,
    apps,
    open: renew(baseline.open, stableOpen(seen, stable), isRenewed),
    accepted: [...kept, ...accepted],
  };
}

function holds(renewed: readonly string[], app: string): boolean {
  return renewed.some((path) => isAtOrBelow(path, app));
}

function hasApp(seen: Seen, path: string, stable: StablePath): boolean {
  return [...seen.apps.keys()].some((app) => stable(app) === path);
}

/** `before`, with whatever lies at a renewed path taken from `now`. */
function renew(
  before: Baseline['open'],
  now: Baseline['open'],
  isRenewed: (path: string) => boolean,
): Map<string, Map<string, string>> {
  const open = new Map<string, Map<string, string>>();
  const take = (from: Baseline['open'], isTaken: (path: string) => boolean): void => {
    for (const [part, files] of from) {
      const kept = [...files].filter(([path]) => isTaken(path));
      if (kept.length > 0) open.set(part, new Map([...(open.get(part) ?? []), ...kept]));
    }
  };
  take(before, (path) => !isRenewed(path));
  take(now, isRenewed);
  return open;
}

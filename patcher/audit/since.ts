import { posix } from 'node:path';
import { versionOrder } from './app-version.ts';
import { type Baseline, isAtOrBelow } from './baseline.ts';
import type { StablePath } from './stable-path.ts';
import type { Finding, FindingKind, Remark, Seen, SeenApp, Verdict } from './verdict.ts';

/** Pure: the verdict with what changed since the baseline, and without the findings that were accepted. */
export function judgeSince(
  verdict: Verdict,
  seen: Seen,
  baseline: Baseline,
  about: { readonly root: string; readonly stable: StablePath },
): Verdict {
  const { stable, root } = about;
  const since = new Since(seen, baseline, stable, root, verdict.verified.includes('core'));
  const findings = [...verdict.findings, ...since.findings()];
  // the baseline says something about these
  const open = verdict.remarks.filter(({ kind }) => kind !== 'unsigned_app' && kind !== 'unsigned_file');
  const remarks = [...open, ...since.newApps()];
  const accepted = new Map(baseline.accepted.map((one) => [stateOf(one.kind, one.path, one.mark), one]));
  const left: Finding[] = [];
  for (const finding of findings) {
    const { kind, path, mark } = finding;
    const entry = mark === null ? undefined : accepted.get(stateOf(kind, stable(path), mark));
    if (entry === undefined) left.push(finding);
    else remarks.push({ kind: 'accepted', path, words: `${kind}, accepted ${entry.at.slice(0, 10)}: ${entry.reason}` });
  }
  return { ...verdict, findings: left, remarks };
}

function stateOf(kind: FindingKind, path: string, mark: string): string {
  return [kind, path, mark].join('\0');
}

interface Open {
  readonly part: string;
  readonly mark: string;
  /** As it is called on the target. */
  readonly shown: string;
}

class Since {
  readonly #seen: Seen;
  readonly #baseline: Baseline;
  readonly #stable: StablePath;
  readonly #root: string;
  readonly #isCoreSigned: boolean;
  readonly #findings: Finding[] = [];

  constructor(seen: Seen, baseline: Baseline, stable: StablePath, root: string, isCoreSigned: boolean) {
    this.#seen = seen;
    this.#baseline = baseline;
    this.#stable = stable;
    this.#root = root;
    this.#isCoreSigned = isCoreSigned;
  }

  findings(): readonly Finding[] {
    this.#versions();
    this.#files();
    return this.#findings;
  }

  #find(kind: FindingKind, about: Omit<Finding, 'kind'>): void {
    this.#findings.push({ kind, ...about });
  }

  #versions(): void {
    const { core } = this.#seen;
    const known = this.#baseline.core;
    if (core !== null && known !== null && (versionOrder(core, known) ?? 0) < 0) {
      const words = `${known} was there before: older code was put in place`;
      this.#find('other_version', { path: `${this.#root}/version.php`, part: 'core', words, mark: core });
    }
    for (const [path, app] of this.#seen.apps) {
      const before = this.#before(path);
      if (before !== null) this.#app(path, app, before);
    }
  }

  #app(path: string, app: SeenApp, before: SeenApp): void {
    const part = `app ${posix.basename(path)}`;
    if (app.signer === null && before.signer !== null) {
      const words = `it had a list signed by "${before.signer}" before: nothing can be said about its files`;
      const file = `${path}/appinfo/signature.json`;
      this.#find('signature_missing', { path: file, part, words, mark: `without, ${app.version ?? 'no version'}` });
    }
    if (app.version !== null && before.version !== null && (versionOrder(app.version, before.version) ?? 0) < 0) {
      const words = `it is ${app.version}, and ${before.version} was there before: an older one was put in place`;
      this.#find('other_version', { path: `${path}/appinfo/info.xml`, part, words, mark: app.version });
    }
  }

  /** The same app as it was; one that has moved into another folder is known by its id. */
  #before(path: string): SeenApp | null {
    const here = this.#baseline.apps.get(this.#stable(path));
    if (here !== undefined) return here;
    const id = posix.basename(path);
    const elsewhere = [...this.#baseline.apps].filter(([other]) => posix.basename(other) === id).map(([, app]) => app);
    elsewhere.sort((a, b) => versionOrder(b.version ?? '0', a.version ?? '0') ?? 0);
    return elsewhere[0] ?? null;
  }

  newApps(): Remark[] {
    return [...this.#seen.apps].flatMap(([path, { signer, version }]) => {
      if (signer === null || this.#before(path) !== null) return [];
      return [
        { kind: 'new_app', path, words: `a signed app, ${version ?? 'of no version'}, that was not there before` },
      ];
    });
  }

  #files(): void {
    const now = new Map<string, Open>();
    for (const [part, files] of this.#seen.open) {
      for (const [shown, mark] of files) now.set(this.#stable(shown), { part, mark, shown });
    }
    const before = new Map<string, Open>();
    for (const [part, files] of this.#baseline.open) {
      for (const [path, mark] of files) before.set(path, { part, mark, shown: path });
    }
    const newApps = this.#wholeApps(this.#seen, this.#baseline);
    const goneApps = this.#wholeApps(this.#baseline, this.#seen);
    for (const [path, { part, mark, shown }] of now) {
      const old = before.get(path);
      if (old === undefined && this.#isIn(path, newApps)) continue;
      if (old === undefined) this.#find('new_since', { path: shown, part, words: null, mark });
      else if (old.mark !== mark) {
        const words = mark.startsWith('link to ') ? `a ${mark}` : null;
        this.#find('changed_since', { path: shown, part, words, mark });
      }
    }
    const signed = [...this.#seen.apps].filter(([, { signer }]) => signer !== null).map(([path]) => this.#stable(path));
    for (const [path, { part }] of before) {
      if (part === 'core' && this.#isCoreSigned) continue; // its list says what is missing
      if (now.has(path) || this.#isIn(path, signed) || this.#isIn(path, goneApps)) continue;
      this.#find('gone_since', { path, part, words: null, mark: 'nothing' });
    }
    for (const path of newApps) this.#wholeApp('new_since', path, 'a new app without a signed list', now);
    for (const path of goneApps) this.#wholeApp('gone_since', path, 'the app is not there any more', before);
  }

  /** Unsigned apps that only one of the two has: one finding for each says it. */
  #wholeApps(one: Pick<Seen, 'apps'>, other: Pick<Seen, 'apps'>): string[] {
    const others = new Set([...other.apps.keys()].map(this.#stable));
    const unsigned = [...one.apps].filter(([, { signer }]) => signer === null).map(([path]) => this.#stable(path));
    return unsigned.filter((path) => !others.has(path));
  }

  #wholeApp(kind: FindingKind, path: string, words: string, from: ReadonlyMap<string, Open>): void {
    const files = [...from].filter(([file]) => isAtOrBelow(file, path));
    if (files.length === 0) return;
    const shown = files[0]?.[1].shown.slice(0, path.length - (files[0]?.[0].length ?? 0)) ?? path;
    const part = `app ${posix.basename(path)}`;
    this.#find(kind, { path: shown, part, words: `${words}: ${files.length} files`, mark: null });
  }

  #isIn(path: string, folders: readonly string[]): boolean {
    return folders.some((folder) => isAtOrBelow(path, folder));
  }
}

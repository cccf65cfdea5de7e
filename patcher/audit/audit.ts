import { posix } from 'node:path';
import { LatchkeyError } from '../../platform/errors.ts';
import type { LocalApp } from '../app-files.ts';
import { readHook } from '../hooks/hook-definition.ts';
import type { Progress } from '../progress.ts';
import type { Transport } from '../transports/transport.ts';
import { sha512 } from '../vendor/vendor-tree.ts';
import { assertSameServer, type Baseline, type Server } from './baseline.ts';
import { type AuditWish, type CodePlace, findCode } from './code-place.ts';
import type { Evidence } from './evidence.ts';
import { judge } from './judge.ts';
import { listTree } from './list-tree.ts';
import type { ListingProgress } from './listing-stream.ts';
import { foreignMounts, isBelow, placesOf } from './places.ts';
import { readSettings } from './settings-look.ts';
import { judgeSince } from './since.ts';
import { stablePaths } from './stable-path.ts';
import type { TreeListing } from './tree-listing.ts';
import type { Remark, Seen, Verdict } from './verdict.ts';

export interface AuditReport extends Verdict {
  /** True when nothing was found that is not as it was made. */
  readonly clean: boolean;
  readonly root: string;
  readonly appsPaths: readonly string[];
  readonly dataDirectory: string | null;
  /** When the baseline was made that this was compared with, `null` without one. */
  readonly baseline: string | null;
}

/** A report, and what a baseline is made of. */
export interface Audited {
  readonly report: AuditReport;
  readonly seen: Seen;
  readonly server: Server;
  /** The one that was compared with. */
  readonly baseline: Baseline | null;
}

export interface AuditDeps {
  readonly app: LocalApp;
  readonly now: () => number;
  readonly progress: Progress;
  /** Asked before anything is hashed; `null` where none is wanted. */
  readonly baselineOf: (server: Server) => Baseline | null;
}

/**
 * Compares the code of one Nextcloud with what the vendor signed, and the rest with a baseline. Runs nothing of Nextcloud and
 * no PHP, and works on one that is broken; uses find, sha512sum and other tools every server has, and decides here.
 */
export async function audit(transport: Transport, wish: AuditWish, deps: AuditDeps): Promise<Audited> {
  const { progress } = deps;
  const place = await findCode(transport, wish);
  const { root, configFolder } = place;
  const settings = configFolder === null ? null : await readSettings(place.transport, configFolder, root);
  const stable = stablePaths(wish.disk ?? null);
  const server = { instance: settings?.instanceId ?? null, root: stable(root) };
  const baseline = deps.baselineOf(server);
  if (baseline !== null) assertSameServer(baseline, server);
  const remarks: Remark[] = [];
  progress.step(`hash the code in ${root}`);
  const about = { settings, disk: wish.disk ?? '', revocations: baseline?.revocations ?? null };
  const evidence = await gather(place, about, deps, remarks);
  progress.step('compare with what the vendor signed');
  const { verdict, seen } = judge(evidence);
  const judged = baseline === null ? verdict : judgeSince(verdict, seen, baseline, { root, stable });
  const report = {
    clean: judged.findings.length === 0,
    root,
    appsPaths: evidence.appsPaths.map(({ path }) => path),
    dataDirectory: evidence.data?.path ?? null,
    baseline: baseline?.madeAt ?? null,
    ...judged,
    remarks: [...judged.remarks, ...remarks],
  };
  return { report, seen, server, baseline };
}

async function gather(
  { transport, root, configFolder, target }: CodePlace,
  about: Pick<Evidence, 'settings' | 'revocations'> & { readonly disk: string },
  deps: AuditDeps,
  remarks: Remark[],
): Promise<Evidence> {
  const { settings } = about;
  const places = await placesOf(transport, { root, target, ...about }, remarks);
  const leftOut = await foreignMounts(transport, root, places.appsPaths, remarks);
  const prune = [...leftOut, ...(places.data === null ? [] : [places.data])].filter((path) => isBelow(root, path));
  const count: ListingProgress = (done, total) => deps.progress.portion?.(done, total, 'files');
  const leaveOut = prune.map((path) => posix.relative(root, path));
  const coreHook = await readHook('core');
  const tree = await listTree(transport, root, { leaveOut, read: coreHook.file }, count);
  if (tree === null) throw new LatchkeyError('nextcloud_not_found', `${root} is not there any more`);
  const { app, files } = deps.app;
  return {
    root,
    target,
    tree,
    appsPaths: await appsOf(transport, root, places.appsPaths, remarks),
    config: await configOf(transport, root, configFolder),
    settings,
    coreHook,
    revocations: about.revocations,
    data: await dataOf(transport, places.data),
    ownApp: { version: app.version, files: new Map(files.map((file) => [file.path, sha512(file.data)])) },
    now: new Date(deps.now()),
  };
}

async function appsOf(
  transport: Transport,
  root: string,
  paths: readonly string[],
  remarks: Remark[],
): Promise<Evidence['appsPaths']> {
  const found: { path: string; listing: TreeListing | null }[] = [];
  for (const path of paths) {
    if (isBelow(root, path)) {
      found.push({ path, listing: null });
      continue;
    }
    const listing = await listTree(transport, path, { onlyApps: true });
    if (listing !== null) found.push({ path, listing });
    else remarks.push({ kind: 'not_looked_at', path, words: 'config.php names it, and it holds no apps' });
  }
  return found;
}

async function configOf(transport: Transport, root: string, folder: string | null): Promise<Evidence['config']> {
  if (folder === null) return null;
  const real = await transport.realPath(folder);
  if (real === null || real === `${root}/config`) return { path: folder, listing: null };
  return { path: real, listing: await listTree(transport, real) };
}

/** Two levels, and only what could be run: the rest is people's files. */
async function dataOf(transport: Transport, path: string | null): Promise<Evidence['data']> {
  if (path === null) return null;
  const listing = await listTree(transport, path, { onlyUpperCode: true });
  return listing === null ? null : { path, listing };
}

import { type NextcloudTree, nextTree, treesFolder } from '../harness/nextcloud-tree.ts';

/** How Nextcloud is installed, and where the hook is. */
export const KINDS = ['app', 'core', 'container', 'snap'] as const;
export type Kind = (typeof KINDS)[number];

export interface PlannedLife<T> {
  readonly kind: Kind;
  readonly tree: T;
}

/**
 * Which lives `npm test` lives. Every kind on every release takes the better part of an hour (`npm run test:nextcloud`), so it is
 * the one that most people have: the hook in the app, from the release that an upgrade to the newest begins with. With
 * `thorough` each kind is lived once, and each release at least once.
 */
export function planLives<T extends NextcloudTree>(trees: readonly T[], thorough: boolean): PlannedLife<T>[] {
  const [oldest, newest] = [trees[0], trees.at(-1)];
  if (oldest === undefined || newest === undefined) return [];
  const upgradable = trees.findLast((tree) => nextTree(tree, trees)?.allowed === true) ?? newest;
  const chosen: Record<Kind, T> = { app: upgradable, core: newest, container: upgradable, snap: oldest };
  const kinds = thorough ? KINDS : (['app'] as const);
  const covered = new Set(kinds.map((kind) => chosen[kind]));
  const left = thorough ? trees.filter((tree) => !covered.has(tree)) : [];
  return [
    ...kinds.map((kind) => ({ kind, tree: chosen[kind] })),
    ...left.map((tree) => ({ kind: 'app' as const, tree })),
  ];
}

/** The releases that one kind is lived on. */
export function plannedFor<T extends NextcloudTree>(kind: Kind, trees: readonly T[]): T[] {
  const thorough = process.env.LATCHKEY_THOROUGH === '1';
  return planLives(trees, thorough).flatMap((life) => (life.kind === kind ? [life.tree] : []));
}

/** Why a kind is not lived at all; `null` when it is. */
export function whyNotPlanned(planned: readonly NextcloudTree[], trees: readonly NextcloudTree[]): string | null {
  if (trees.length === 0) return `no release in ${treesFolder()}`;
  return planned.length === 0 ? 'LATCHKEY_THOROUGH=1 and "npm run test:nextcloud" live it' : null;
}

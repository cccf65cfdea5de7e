import { type NextcloudTree, nextTree } from '../harness/nextcloud-tree.ts';

/** How Nextcloud is installed, and where the hook is. */
export const KINDS = ['app', 'core', 'container', 'snap'] as const;
export type Kind = (typeof KINDS)[number];

export interface PlannedLife<T> {
  readonly kind: Kind;
  readonly tree: T;
}

/**
 * Which lives `npm test` lives: each kind once and each release at least once, as every kind on every release takes the better part of
 * an hour (`npm run test:nextcloud`). The hook in the app, and the container, begin where an upgrade to the newest leads from.
 */
export function planLives<T extends NextcloudTree>(trees: readonly T[]): PlannedLife<T>[] {
  const [oldest, newest] = [trees[0], trees.at(-1)];
  if (oldest === undefined || newest === undefined) return [];
  const upgradable = trees.findLast((tree) => nextTree(tree, trees)?.allowed === true) ?? newest;
  const chosen: Record<Kind, T> = { app: upgradable, core: newest, container: upgradable, snap: oldest };
  const covered = new Set(Object.values(chosen));
  const left = trees.filter((tree) => !covered.has(tree));
  return [
    ...KINDS.map((kind) => ({ kind, tree: chosen[kind] })),
    ...left.map((tree) => ({ kind: 'app' as const, tree })),
  ];
}

/** The releases that one kind is lived on. */
export function plannedFor<T extends NextcloudTree>(kind: Kind, trees: readonly T[]): T[] {
  return planLives(trees).flatMap((life) => (life.kind === kind ? [life.tree] : []));
}

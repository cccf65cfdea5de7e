import { expect, test } from 'vitest';
import type { NextcloudTree } from '../harness/nextcloud-tree.ts';
import { KINDS, planLives } from './life-plan.ts';

const tree = (version: string, ...upgradesFrom: string[]): NextcloudTree =>
  ({ version, upgradesFrom, folder: `/trees/${version}` }) as unknown as NextcloudTree;
const planned = (...trees: NextcloudTree[]): string[] =>
  planLives(trees, true).map((life) => `${life.kind} ${life.tree.version}`);

test('without a release nothing is lived', () => {
  expect(planned()).toEqual([]);
});

test('with one release every kind is lived on it', () => {
  expect(planned(tree('33.0.1', '32.0'))).toEqual(KINDS.map((kind) => `${kind} 33.0.1`));
});

test('in short the app is lived through an upgrade', () => {
  const trees = [tree('28.0.2', '27.1'), tree('32.0.2', '31.0'), tree('33.0.1', '32.0')];
  const short = planLives(trees, false).map((life) => `${life.kind} ${life.tree.version}`);
  expect(short).toEqual(['app 32.0.2']);
});

test('with several each kind is lived once, and each release at least once', () => {
  const trees = [tree('28.0.2', '27.1'), tree('32.0.2', '31.0'), tree('33.0.1', '32.0')];
  expect(planned(...trees)).toEqual(['app 32.0.2', 'core 33.0.1', 'container 32.0.2', 'snap 28.0.2']);
});

test('a release that no kind was chosen for is lived with the hook in the app', () => {
  const trees = [tree('28.0.2'), tree('30.0.1'), tree('31.0.1'), tree('33.0.1')];
  expect(planned(...trees).slice(4)).toEqual(['app 30.0.1', 'app 31.0.1']);
});

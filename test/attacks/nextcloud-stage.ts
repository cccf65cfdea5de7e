import type { NextcloudTree } from '../harness/nextcloud-tree.ts';
import type { Scene } from './scene.ts';

export interface NextcloudStage {
  readonly tree: NextcloudTree;
}

export function stageNextcloud(_scene: Scene, tree: NextcloudTree): Promise<NextcloudStage> {
  return Promise.resolve({ tree });
}

import { Cleanup } from '../harness/cleanup.ts';
import { instanceObstacle } from '../harness/nextcloud-instance.ts';
import type { NextcloudTree } from '../harness/nextcloud-tree.ts';
import { sshdMissing } from '../harness/sshd.ts';
import { applyAgain, audit, restore, stock, upgrade } from './life-changes.ts';
import { again, apply, detect, disk, enroll, escrow, install, openKeyServer } from './life-moving.ts';
import { back, noKey, outage, use } from './life-outage.ts';
import { StepList, type StepResult } from './step-list.ts';
import type { Step, Story } from './story.ts';
import { buildWorld } from './world.ts';

export interface LifeResult {
  readonly version: string;
  /** How key server and Nextcloud were joined. */
  readonly network: string;
  readonly steps: readonly StepResult[];
  readonly ms: number;
  /** What could not be cleaned up. */
  readonly left: readonly string[];
}

export type NamedStep = readonly [name: string, step: Step];

const steps: readonly NamedStep[] = [
  ['detect', detect],
  ['apply', apply],
  ['enroll', enroll],
  ['escrow', escrow],
  ['disk', disk],
  ['use', use],
  ['again', again],
  ['outage', outage],
  ['no key', noKey],
  ['back', back],
  ['upgrade', upgrade],
  ['re-apply', applyAgain],
  ['restore', restore],
  ['stock', stock],
  ['audit', audit],
];

/** Why no life can be run on this machine, or `null`. */
export function lifeObstacle(): string | null {
  return instanceObstacle() ?? sshdMissing();
}

/**
 * One Nextcloud from its installation to the day it goes without Latchkey again. Never throws for a step that fails:
 * the result tells. Everything it has started is gone when it returns, and on Ctrl-C too.
 */
export async function runNextcloudLife(options: {
  readonly tree: NextcloudTree;
  readonly trees: readonly NextcloudTree[];
  readonly say?: (line: string) => void;
  /** Another life than the ordinary one. */
  readonly steps?: readonly NamedStep[];
}): Promise<LifeResult> {
  const { tree, trees } = options;
  const began = performance.now();
  const cleanup = new Cleanup();
  const unguard = cleanup.guard();
  const list = new StepList(options.say ?? (() => undefined));
  let network = 'none';
  let left: string[] = [];
  try {
    const story: Partial<Story> = { tree, trees, cleanup };
    const whole = story as Story; // each step finds what the steps before it have put there
    await list.step('install', async () => {
      const world = await buildWorld(cleanup);
      network = world.words;
      Object.assign(story, { world });
      Object.assign(story, await install(whole));
      return whole.nextcloud.server ?? undefined;
    });
    await list.step('key server', async () => {
      Object.assign(story, await openKeyServer(whole));
      return network;
    });
    for (const [name, step] of options.steps ?? steps) await list.step(name, () => step(whole));
  } finally {
    left = await cleanup.run();
    unguard();
  }
  return { version: tree.version, network, steps: list.results, ms: Math.round(performance.now() - began), left };
}

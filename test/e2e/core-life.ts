import { againCore, applyCore, appOff, filesGone, sameCode, switchHooks, wiped } from './core-steps.ts';
import { type LifeResult, type NamedStep, runNextcloudLife } from './life.ts';
import { audit, restore, stock } from './life-changes.ts';
import { disk, enroll, escrow } from './life-moving.ts';

const steps: readonly NamedStep[] = [
  ['apply', applyCore],
  ['enroll', enroll],
  ['escrow', escrow],
  ['disk', disk],
  ['again', againCore],
  ['app off', appOff],
  ['no files', filesGone],
  ['new code', wiped],
  ['switch', switchHooks],
  ['restore', restore],
  ['stock', stock],
  ['same code', sameCode],
  ['audit', audit],
];

/** The life of a Nextcloud whose own code carries the hook. */
export function runCoreLife(options: Parameters<typeof runNextcloudLife>[0]): Promise<LifeResult> {
  return runNextcloudLife({ ...options, steps });
}

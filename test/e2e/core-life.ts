import { againCore, applyCore, appOff, filesGone, removed, switchHooks, wiped } from './core-steps.ts';
import { type LifeResult, type NamedStep, runNextcloudLife } from './life.ts';
import { restore } from './life-changes.ts';
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
  ['remove', removed],
];

/** The life of a Nextcloud whose own code carries the hook. */
export function runCoreLife(options: Parameters<typeof runNextcloudLife>[0]): Promise<LifeResult> {
  return runNextcloudLife({ ...options, steps });
}

import { LatchkeyError } from '../platform/errors.ts';
import type { Facts } from './facts.ts';
import { timerUnit } from './heartbeat-timer.ts';
import { type CoreRemovalStep, changedByOthers, takeOut } from './hooks/core-plan.ts';
import { type WatchStep, watchRemovalFor } from './watch/watch-plan.ts';

/** Pure: what takes the app away again. Throws `keys_on_key_server` (exit 3) while a key lives there only. */
export function removalFor(facts: Facts): RemovalStep[] {
  const keys = facts.enrolment?.keys ?? [];
  if (keys.length > 0) {
    throw new LatchkeyError(
      'keys_on_key_server',
      `${keys.join(', ')} can only be had from the key server; without the app no file opens`,
      {
        exit: 3,
        hint: 'bring them back first: ncpatch restore',
      },
    );
  }
  const { core } = facts;
  if (core?.marked === true && core.state === 'other') {
    const { code, message, hint } = core.refusal ?? changedByOthers(core.path);
    throw new LatchkeyError(code, message, { exit: 3, hint });
  }
  // first, or it would put back what is taken away
  const steps: RemovalStep[] = [...watchRemovalFor(facts)];
  const units = Object.keys(facts.timerFiles);
  if (units.some((path) => path.endsWith('.timer')))
    steps.push({ kind: 'stop_timer', unit: timerUnit(facts.instanceId) });
  steps.push(...units.map((path) => ({ kind: 'remove_file' as const, path })));
  const hooks = (facts.container?.entryHooks ?? []).filter(({ writable, content }) => writable && content !== null);
  steps.push(...hooks.map(({ path }) => ({ kind: 'remove_entry_hook' as const, path })));
  steps.push(...takeOut(facts)); // it loads the app's files
  if (facts.app.enabled) steps.push({ kind: 'disable_app' });
  if (facts.app.files !== null) steps.push({ kind: 'remove_app', path: facts.app.files.path });
  if (facts.app.installedVersion !== null) steps.push({ kind: 'forget_app_values' });
  steps.push({ kind: 'delete_config', name: 'remotekeystorage.dir' });
  if (facts.hook !== undefined) steps.push({ kind: 'delete_config', name: 'remotekeystorage.hook' });
  return steps;
}

export type RemovalStep =
  | { readonly kind: 'stop_timer'; readonly unit: string }
  | { readonly kind: 'remove_file'; readonly path: string }
  | { readonly kind: 'disable_app' }
  | { readonly kind: 'remove_app'; readonly path: string }
  | { readonly kind: 'remove_entry_hook'; readonly path: string }
  | { readonly kind: 'forget_app_values' }
  | { readonly kind: 'delete_config'; readonly name: string }
  | CoreRemovalStep
  | WatchStep;

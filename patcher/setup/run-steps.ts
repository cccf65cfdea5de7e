import { isLatchkeyError, LatchkeyError } from '../../platform/errors.ts';
import type { Progress } from '../progress.ts';
import type { StepState } from './setup-record.ts';
import type { SetupStep, StepLook, StepName } from './setup-step.ts';

/** What became of a step. */
export type StepOutcome =
  | { readonly outcome: 'present' | 'done'; readonly lines: readonly string[] }
  | { readonly outcome: 'declined' }
  /** A step that it needs was declined. */
  | { readonly outcome: 'left out'; readonly for: StepName };
export type StepReport = StepOutcome & { readonly name: StepName; readonly title: string };

export interface RunStepsDeps {
  readonly progress: Progress;
  /** Asked before each step that has something to do; `false` declines it. Throws to end the run. */
  readonly allowed: (step: SetupStep) => Promise<boolean>;
  /** Told before and after; on disk when it returns. */
  readonly remember: (name: StepName, state: StepState) => void;
}

/**
 * Takes the steps in order: each is looked at, shown, asked about, done. One that fails is undone and ends the run; those before
 * it stay, so that the next run goes on here.
 */
export async function runSteps(steps: readonly SetupStep[], deps: RunStepsDeps): Promise<readonly StepReport[]> {
  const reports: StepReport[] = [];
  const left = new Set<StepName>();
  for (const [index, step] of steps.entries()) {
    const { name, title } = step;
    deps.progress.step(`${index + 1}/${steps.length} ${name}: ${title}`);
    const outcome = await runStep(step, left, deps);
    if (outcome.outcome === 'declined' || outcome.outcome === 'left out') left.add(name);
    reports.push({ name, title, ...outcome });
  }
  return reports;
}

/** What others may have at home already, under the same names as what the steps before these would make there. */
const ASKED_FIRST: readonly StepName[] = ['key-server', 'enrol'];
/** Where nothing was set up yet: what a server lacks is told before anything is made for it. Later, the steps before these may mend it. */
const ASKED_AT_FIRST: readonly StepName[] = [...ASKED_FIRST, 'ssh-tunnel', 'hook'];

/** Before the first step: what is at home is another Nextcloud's, or cannot be used. Throws as the step itself would; nothing was changed. */
export async function refuseAhead(steps: readonly SetupStep[], isFirst: boolean): Promise<void> {
  const asked = isFirst ? ASKED_AT_FIRST : ASKED_FIRST;
  for (const step of steps.filter(({ name }) => asked.includes(name))) {
    const look = await step.look();
    if (look.state === 'impossible') throw impossible(look);
  }
}

function impossible({ code, words, hint }: Extract<StepLook, { state: 'impossible' }>): LatchkeyError {
  return new LatchkeyError(code, words, { exit: 3, hint });
}

async function runStep(step: SetupStep, left: ReadonlySet<StepName>, deps: RunStepsDeps): Promise<StepOutcome> {
  const { progress, remember } = deps;
  const lacking = step.needs.find((name) => left.has(name));
  if (lacking !== undefined) {
    progress.note(`left out, as "${lacking}" was`);
    return { outcome: 'left out', for: lacking };
  }
  const look = await step.look();
  if (look.state === 'impossible') throw impossible(look);
  if (look.state === 'done') {
    progress.note(`in place: ${look.words}`);
    remember(step.name, 'done');
    return { outcome: 'present', lines: [look.words] };
  }
  for (const line of await step.plan()) progress.note(line);
  if (!(await deps.allowed(step))) {
    progress.note('declined');
    remember(step.name, 'declined');
    return { outcome: 'declined' };
  }
  remember(step.name, 'begun');
  const lines = await carriedOut(step, deps);
  remember(step.name, 'done');
  for (const line of lines) progress.note(line);
  return { outcome: 'done', lines };
}

async function carriedOut(step: SetupStep, { progress, remember }: RunStepsDeps): Promise<readonly string[]> {
  try {
    return await step.carryOut();
  } catch (error) {
    progress.note('this failed: undoing what was begun');
    try {
      for (const line of await step.undo()) progress.note(line);
      remember(step.name, 'undone');
    } catch (trouble) {
      const words = isLatchkeyError(trouble) ? `${trouble.message} (${trouble.code})` : 'something broke';
      progress.note(`not all of it could be undone now: ${words}; the next run goes on with it`);
    }
    throw error;
  }
}

/** What a setup would do, without doing any of it; told step by step, as a look takes its time. */
export async function describeSteps(
  steps: readonly SetupStep[],
  tell: (plan: StepPlan) => void = () => undefined,
): Promise<readonly StepPlan[]> {
  const plans: StepPlan[] = [];
  for (const step of steps) {
    const plan = await planOf(step);
    tell(plan);
    plans.push(plan);
  }
  return plans;
}

async function planOf(step: SetupStep): Promise<StepPlan> {
  const look = await step.look();
  const { name, title } = step;
  if (look.state === 'missing') return { name, title, state: 'missing', lines: await step.plan() };
  if (look.state === 'done') return { name, title, state: 'done', lines: [look.words] };
  return { name, title, state: 'impossible', lines: [`${look.words} (${look.code})`, look.hint] };
}

export interface StepPlan {
  readonly name: StepName;
  readonly title: string;
  readonly state: 'missing' | 'done' | 'impossible';
  readonly lines: readonly string[];
}

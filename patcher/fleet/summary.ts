import * as z from 'zod';

const list = z.array(z.unknown());
const obstacles = z.array(z.looseObject({ blocking: z.boolean().optional(), code: z.string() }));

const planned = z
  .looseObject({ steps: list, afterProof: list, obstacles })
  .transform((plan) => words(blocksIn(plan.obstacles), steps(plan.steps.length + plan.afterProof.length)));

/** What is said of a report in one line; a report of another form than these is told by what it counts. */
const FORMS: Readonly<Record<string, z.ZodType<string>>> = {
  detect: z
    .looseObject({
      version: z.looseObject({ versionString: z.string() }),
      app: z.looseObject({ state: z.string() }),
      obstacles,
    })
    .transform(({ version, app, obstacles: found }) =>
      words(`nextcloud ${version.versionString}`, `app ${app.state}`, blocksIn(found)),
    ),
  plan: planned,
  apply: z
    .looseObject({
      changed: z.boolean(),
      done: list,
      verification: z.looseObject({ untried: z.looseObject({ code: z.string() }).nullable() }),
    })
    .transform(({ changed, done, verification: { untried } }) =>
      words(changed ? `${steps(done.length)} done` : 'nothing to do', untried && `not verified: ${untried.code}`),
    )
    .or(planned),
  verify: z
    .looseObject({
      hook: z.string(),
      release: z.looseObject({ ms: z.number() }).nullable(),
      decrypt: z.literal(true).nullable(),
    })
    .transform(({ hook, release, decrypt }) =>
      words(`hook ${hook}`, release && `release in ${release.ms} ms`, decrypt && 'decryption works'),
    ),
  status: z
    .looseObject({ state: z.string(), keysAway: list, problems: obstacles })
    .transform(({ state, keysAway, problems }) =>
      words(`app ${state}`, `${keysAway.length} keys away`, `${problems.length} problems`),
    ),
  doctor: z
    .looseObject({ counts: z.record(z.string(), z.number()) })
    .transform(({ counts }) =>
      words(...Object.entries(counts).map(([level, count]) => (count === 0 ? null : `${count} ${level}`))),
    ),
  'watch status': z
    .looseObject({
      installed: z.boolean(),
      closed: z.boolean(),
      failing: z.looseObject({ code: z.string(), failures: z.number() }).nullable(),
    })
    .transform(({ installed, closed, failing }) =>
      words(
        installed ? 'watched' : 'not watched',
        failing !== null && failing.failures > 0 && `failing: ${failing.code}`,
        closed && 'the web is closed',
      ),
    ),
};

/** Pure: one line about a report. */
export function summaryOf(command: string, result: unknown): string {
  const found = FORMS[command]?.safeParse(result);
  return found?.success === true ? found.data : counted(result);
}

const COUNTED = ['findings', 'problems', 'obstacles'];

function counted(result: unknown): string {
  if (typeof result !== 'object' || result === null) return 'done';
  const members = new Map<string, unknown>(Object.entries(result));
  const lists = COUNTED.flatMap((name) => {
    const value = members.get(name);
    return Array.isArray(value) ? [`${value.length} ${name}`] : [];
  });
  const state = members.get('state');
  return words(typeof state === 'string' ? state : null, ...lists) || 'done';
}

function blocksIn(found: z.infer<typeof obstacles>): string | null {
  const blocking = found.filter((entry) => entry.blocking === true).map(({ code }) => code);
  return blocking.length === 0 ? null : `blocked by ${blocking.join(', ')}`;
}

function steps(count: number): string {
  if (count === 0) return 'nothing to do';
  return count === 1 ? '1 step' : `${count} steps`;
}

function words(...parts: readonly (string | null | false)[]): string {
  return parts.filter((part) => typeof part === 'string' && part !== '').join(', ');
}

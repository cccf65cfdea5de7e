import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  type ChainCounters,
  clockTolerance,
  decideHeartbeat,
  decideOpen,
  decideRelease,
  type Freshness,
  freshness,
  issuedOne,
  promoted,
  type Standing,
  standingOf,
} from '../../keyserver/chain.ts';
import { modelFile, obstacle, print, readReport, search } from './spin.ts';

const model = readFileSync(modelFile, 'utf8');
const code = readFileSync(join(import.meta.dirname, '../../keyserver/chain.ts'), 'utf8');
const patience = { timeout: 240_000 };
const brief = { brief: true };
/** Half of the searches take most of the time; LATCHKEY_THOROUGH=1 makes them, and whoever changes the model should. */
const thorough = process.env.LATCHKEY_THOROUGH === '1';

/** One step of the model's clock: its tolerance is two. */
const step = clockTolerance / 2;

/** The words of a union of chain.ts, in the spelling of the model. */
function wordsOf(type: string): string[] {
  const union = new RegExp(`export type ${type} = ([^;]+);`).exec(code)?.[1];
  if (union === undefined) throw new Error(`chain.ts has no type ${type}`);
  return union.split('|').map((word) => word.trim().replaceAll("'", '').replaceAll('-', '_'));
}

/** The words of the model's mtype with that remark behind it. */
function mtype(remark: string): string[] {
  const list = new RegExp(`^mtype = \\{ ([^}]+) \\};\\s+/\\* ${remark}`, 'm').exec(model)?.[1];
  if (list === undefined) throw new Error(`chain.pml has no mtype for ${remark}`);
  return list.split(', ');
}

describe('chain.pml speaks as chain.ts does', () => {
  test('standings and freshness have the same words', () => {
    expect(mtype('Standing')).toEqual(wordsOf('Standing'));
    expect(mtype('Freshness')).toEqual(wordsOf('Freshness'));
  });

  test('decisions have the same words', () => {
    const decisions = ['OpenDecision', 'ReleaseDecision', 'HeartbeatDecision'].flatMap(wordsOf);
    expect(new Set([...mtype('decisions'), 'unknown'])).toEqual(new Set(decisions));
  });

  test('counters have the same names', () => {
    const fields = /interface ChainCounters \{([^}]+)\}/.exec(code)?.[1] ?? '';
    const names = [...fields.matchAll(/readonly (\w+): number/g)].map((match) => match[1]);
    const own = /typedef ChainCounters \{ ([^}]+) \}/.exec(model)?.[1] ?? '';
    const theirs = [...own.matchAll(/byte (\w+)/g)].map((match) => match[1]?.replace('confirmedLink', 'confirmed'));
    expect(theirs).toEqual(names);
  });
});

describe('readReport()', () => {
  const whole = 'State-vector 8 byte, depth reached 9, errors: 0\n       12 states, stored\n';

  test('refuses a search that was cut short', () => {
    for (const words of ['error: max search depth too small', 'Warning: Search not completed', 'pan: out of memory']) {
      expect(() => readReport(`${words}\n${whole}`)).toThrow('cut short');
    }
    expect(readReport(whole)).toEqual({ broken: null, states: 12, unreached: [] });
  });

  test('refuses what is no report, and an error that is no broken claim', () => {
    expect(() => readReport('Segmentation fault')).toThrow('no report');
    expect(() => readReport(whole.replace('errors: 0', 'errors: 1'))).toThrow('something else');
    const array = 'pan:1: assertion violated  - invalid array index (at depth 9)\n';
    expect(readReport(array + whole.replace('errors: 0', 'errors: 1')).broken).toContain('invalid array index');
  });
});

describe.skipIf(obstacle !== null)(`the model of the release chain ${obstacle ?? ''}`, () => {
  test('decides as the code decides, whatever it is asked', patience, async () => {
    const lines = await print(['TABLES']);
    const asked = new Map<string, number>();
    for (const line of lines.filter((text) => text.includes(' = '))) {
      const [question = '', answer] = line.split(' = ');
      const [name = '', ...args] = question.split(' ');
      asked.set(name, (asked.get(name) ?? 0) + 1);
      expect(answer, question).toBe(answerOfCode(name, args));
    }
    expect(Object.fromEntries(asked)).toMatchObject({ decideOpen: 12, decideRelease: 24, decideHeartbeat: 24 });
    expect(asked.get('freshness')).toBeGreaterThan(1000);
    expect(asked.get('standingOf')).toBeGreaterThan(100);
    expect(asked.get('promoted')).toBeGreaterThan(100);
    expect(asked.get('issuedOne')).toBeGreaterThan(100);
  });

  const goesBack = ['CLOCKS', 'LEAD=4', 'LIFETIME=1', 'LINKS=4', 'MESSAGES=4', 'HORIZON=6'];

  describe.concurrent('every claim holds in every state', () => {
    const quick: Record<string, string[]> = {
      'one client, two servers, a guesser': ['SERVERS=2', 'GUESSER', 'LINKS=6', 'MESSAGES=9'],
      'old messages that still arrive': ['SERVERS=2', 'KEEP_OLD', 'LINKS=5', 'MESSAGES=6'],
      'a copied disk, forks lock the client': ['COPY', 'LOCK', 'LINKS=4', 'MESSAGES=5'],
      'a clock that is ahead and set right': ['CLOCKS', 'LEAD=4', 'LINKS=4', 'MESSAGES=4'],
    };
    const long: Record<string, string[]> = {
      'a copied disk, two servers': ['SERVERS=2', 'COPY', 'LINKS=4', 'MESSAGES=5'],
      'a copied disk, more links': ['COPY', 'LINKS=5', 'MESSAGES=5'],
      'a copied disk, and a copy whose clock is ahead': ['CLOCKS', 'COPY', 'LINKS=4', 'MESSAGES=4', 'HORIZON=5'],
      'a clock so far ahead that stamps go back': goesBack,
    };
    for (const [what, defines] of Object.entries({ ...quick, ...long })) {
      test.skipIf(what in long && !thorough)(what, patience, async ({ expect }) => {
        const { broken, unreached } = await search(defines);
        expect(broken).toBeNull();
        // nothing is claimed of what never happened: every decision came up that can
        const words = linesOf(unreached).flatMap((line) => /decision == (.+) -> skip$/.exec(line)?.[1] ?? []);
        expect(words.filter((word) => !cannotCome(word, defines))).toEqual([]);
      });
    }
  });

  describe.concurrent('one thing done wrong breaks', () => {
    const copy = ['COPY', 'LINKS=5', 'MESSAGES=5'];
    const alone = ['LINKS=4', 'MESSAGES=5'];
    const mutants: [mutant: string, defines: string[], claim: string][] = [
      ['ONE_STEP', copy, 'the_copy_is_told_at_its_next_message'],
      ['ONE_STEP', alone, 'one_link_pays_once'],
      ['NO_STALE', alone, 'an_honest_client_alone_is_never_a_fork'],
      ['SENDS_FIRST', alone, 'no_key_without_its_record'],
      ['UNSERIALISED', [...alone, 'SERVERS=2'], 'state_never_goes_back'],
      ['NO_SESSION', copy, 'the_host_is_told_at_its_next_message'],
      ['ANSWERS_AGAIN', copy, 'one_link_pays_once'],
      ['PENDING_SURVIVES', copy, 'the_copy_is_told_at_its_next_message'],
      ['PENDING_IS_FORK', alone, 'an_honest_client_alone_is_never_a_fork'],
      ['STORES_LATE', alone, 'an_honest_client_alone_is_never_a_fork'],
      ['BEATS_UNLOCKED', alone, 'an_honest_client_alone_is_never_a_fork'],
      ['IGNORES_LOCK', [...copy, 'LOCK'], 'a_locked_client_gets_nothing'],
      ['NO_PROOF', [...alone, 'GUESSER'], 'a_guess_is_never_a_fork'],
      ['NO_SPENT_TIME', copy, 'no_clock_hides_a_copy'],
      ['NO_SPENT_TIME', ['CLOCKS', 'COPY', 'LINKS=4', 'MESSAGES=4', 'HORIZON=5'], 'no_clock_hides_a_copy'],
      ['REBASES_AT_ONCE', goesBack, 'an_honest_client_alone_is_never_a_fork'],
    ];
    for (const [mutant, defines, claim] of mutants) {
      test(`MUTANT_${mutant}: ${claim}`, patience, async ({ expect }) => {
        expect((await search([`MUTANT_${mutant}`, ...defines], brief)).broken).toBe(claim);
      });
    }

    test('and no mutant of the model goes without a test', ({ expect }) => {
      const named = new Set([...model.matchAll(/MUTANT_([A-Z_]+)/g)].map((match) => match[1]));
      expect(new Set(mutants.map(([mutant]) => mutant))).toEqual(named);
    });
  });

  describe.concurrent('what the protocol does not promise is found', () => {
    const limits: [limit: string, defines: string[], claim: string][] = [
      ['MEMORY_COPY', ['COPY', 'LINKS=4', 'MESSAGES=5'], 'the_host_is_told_at_its_next_message'],
      ['LATE', [...goesBack, 'LEAD=5', 'HORIZON=7'], 'an_honest_client_alone_is_never_a_fork'],
    ];
    for (const [limit, defines, claim] of limits) {
      test(`LIMIT_${limit}: ${claim}`, patience, async ({ expect }) => {
        expect((await search([`LIMIT_${limit}`, ...defines], brief)).broken).toBe(claim);
      });
    }
  });

  describe.concurrent('a search that is cut short is no result', () => {
    test('by its depth', patience, async ({ expect }) => {
      await expect(search(['LINKS=4', 'MESSAGES=5'], { ...brief, depth: 20 })).rejects.toThrow('cut short');
    });

    test('by its memory', patience, async ({ expect }) => {
      await expect(search(['LINKS=4', 'MESSAGES=5'], { ...brief, memory: 2 })).rejects.toThrow('cut short');
    });
  });
});

function answerOfCode(name: string, args: readonly string[]): string {
  const [first = '', second = '', flag] = args;
  const [is, when] = [first as Standing, second as Freshness];
  const numbers = args.map(Number);
  if (name === 'decideOpen') return decideOpen(is, when).replaceAll('-', '_');
  if (name === 'decideRelease') return decideRelease(is, when, flag === '1');
  if (name === 'decideHeartbeat') return decideHeartbeat(is, when, flag === '1');
  if (name === 'freshness') {
    const [time = 0, lastTime = 0, now = 0, isSpent, spentAt = 0] = numbers.map((number) => number * step);
    return freshness(time, lastTime, now, isSpent === 0 ? null : spentAt);
  }
  if (name === 'issuedOne') return text(issuedOne(counters(numbers)));
  const number = numbers[0] ?? 0;
  if (name === 'promoted') return text(promoted(number, counters(numbers.slice(1))));
  if (name === 'standingOf') return standingOf(number === 0 ? null : number, counters(numbers.slice(1)));
  throw new Error(`the model was asked for ${name}`);
}

function counters([issued = 0, confirmed = 0, spentTo = 0]: readonly number[]): ChainCounters {
  return { issued, confirmed, spentTo };
}

function text({ issued, confirmed, spentTo }: ChainCounters): string {
  return `${issued} ${confirmed} ${spentTo}`;
}

function linesOf(numbers: readonly number[]): string[] {
  const lines = model.split('\n');
  return numbers.map((number) => lines[number - 1]?.trim() ?? '');
}

/**
 * A client alone is no fork and never unknown; where old messages are not kept nothing is repeated, and with a clock that
 * is right none but they are skewed.
 */
function cannotCome(decision: string, defines: readonly string[]): boolean {
  if (decision === 'fork') return !defines.includes('COPY');
  if (decision === 'unknown') return !defines.includes('GUESSER');
  if (decision.endsWith('skewed')) return defines.includes('CLOCKS') && !defines.includes('LEAD=4');
  return decision.endsWith('repeated') && !defines.includes('KEEP_OLD');
}

import { describe, expect, test } from 'vitest';
import {
  coldAllowance,
  type FetchHistory,
  type Habits,
  habitsFrom,
  habitsText,
  historyTime,
  hourlyRate,
  judgeFetch,
  learned,
} from '../../keyserver/policy/habits.ts';

const minute = 60_000;
const hour = 60 * minute;
const ttl = hour;
const boot = '6f1b7a52-0000-4000-8000-0123456789ab';
const other = '6f1b7a52-0000-4000-8000-0123456789ac';

/** A client whose releases are learned from as they come. */
class Host {
  habits: Habits | null = null;
  bootId: string | null = boot;
  before: string | null = null;
  now = 1_000_000 * hour;

  get history(): FetchHistory {
    return { habits: this.habits, bootId: this.before, ttl };
  }

  judge(reason: string): string {
    return judgeFetch({ reason, bootId: this.bootId, now: this.now }, this.history);
  }

  fetch(reason: string, forgiven = false): string {
    const verdict = this.judge(reason);
    this.habits = learned({ reason, bootId: this.bootId, now: this.now }, this.history, forgiven);
    this.before = this.bootId;
    return verdict;
  }

  /** A cold fetch, then one an hour. */
  live(hours: number): void {
    this.fetch('cold');
    for (let n = 0; n < hours; n++) {
      this.now += hour;
      expect(this.fetch('expired')).toBe('usual');
    }
  }
}

describe('a cold fetch', () => {
  test('is one too many after the allowance, within the life of the key and without a new start', () => {
    const host = new Host();
    host.live(5);
    for (let n = 0; n < coldAllowance; n++) expect(host.fetch('cold')).toBe('usual');
    expect(host.fetch('cold')).toBe('cold');
  });

  test('is explained by a new start, by a key that has run out, and by nobody knowing the boot', () => {
    const host = new Host();
    host.live(5);
    for (let n = 0; n < coldAllowance; n++) host.fetch('cold');
    host.bootId = other;
    expect(host.judge('cold')).toBe('usual');
    host.bootId = null;
    expect(host.judge('cold')).toBe('usual');
    host.bootId = boot;
    expect(host.judge('cold')).toBe('cold');
    host.now += ttl;
    expect(host.judge('cold')).toBe('usual');
  });

  test('is forgotten as time goes by, and at once when a person said yes', () => {
    const host = new Host();
    host.live(1);
    for (let n = 0; n < coldAllowance; n++) host.fetch('cold');
    host.now += 50 * minute;
    expect(host.fetch('cold')).toBe('usual');
    for (let n = 0; n < coldAllowance; n++) host.fetch('cold');
    expect(host.fetch('cold', true)).toBe('cold');
    expect(host.fetch('cold')).toBe('usual');
  });
});

describe('the rate', () => {
  test('is not judged before there is a history', () => {
    const host = new Host();
    host.live(historyTime / hour - 2);
    for (let n = 0; n < 60; n++) expect(host.fetch('expired')).toBe('usual');
  });

  test('far above what was learned is noticed, and what is only somewhat above is not', () => {
    const host = new Host();
    host.live(historyTime / hour + 24);
    for (let n = 0; n < 18; n++) expect(host.fetch('expired')).toBe('usual');
    for (let n = 0; n < 3; n++) host.fetch('expired');
    expect(host.judge('expired')).toBe('rate');
  });

  test('of a busy client may be high', () => {
    const host = new Host();
    host.fetch('cold');
    for (let n = 0; n < 8 * 110; n++) {
      host.now += hour / 8;
      host.fetch('expired');
    }
    expect(hourlyRate(host.habits as Habits, host.now)).toBeCloseTo(8, 0);
    for (let n = 0; n < 38; n++) expect(host.fetch('expired')).toBe('usual');
  });
});

test('commands, verify, restore and the basic profile are neither judged nor learned from', () => {
  const host = new Host();
  host.live(100);
  for (let n = 0; n < 30; n++) host.fetch('cold');
  expect(host.judge('cold')).toBe('cold');
  const before = host.habits;
  for (const reason of ['cli:cron', 'cli:files:scan', 'verify', 'restore', 'basic']) {
    expect(host.fetch(reason)).toBe('usual');
    expect(host.habits).toBe(before);
  }
});

test('a clock that was set back raises nothing', () => {
  const host = new Host();
  host.live(100);
  host.now -= 50 * hour;
  expect(host.fetch('expired')).toBe('usual');
  expect(host.fetch('cold')).toBe('usual');
});

test('habitsText() keeps counts to the thousandth in whole numbers', () => {
  const habits = { since: 1, at: 2, hour: 1.2345, week: 70.0001, cold: 0 };
  expect(habitsText(habits)).toBe('[1,2,1235,70000,0]');
  expect(habitsFrom(habitsText(habits))).toEqual({ since: 1, at: 2, hour: 1.235, week: 70, cold: 0 });
  expect(habitsFrom(habitsText(null))).toBeNull();
});

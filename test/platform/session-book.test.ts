import { expect, test } from 'vitest';
import { systemRandom } from '../../platform/clock.ts';
import { cookieFrom, isCsrf, SessionBook } from '../../platform/session-book.ts';

const limits = { idle: 1000, whole: 5000, count: 3 };
const book = () => new SessionBook<string>(systemRandom, limits);
const start = 1_000_000;

test('a token that was never given finds nothing', () => {
  const sessions = book();
  sessions.begin('ann', start);
  for (const token of ['', 'x', 'A'.repeat(43), 'A'.repeat(44), `${'A'.repeat(42)}B`]) {
    expect(sessions.find(token, start)).toBeNull();
  }
});

test('a session ends when it was idle for its time, and not a millisecond before', () => {
  const sessions = book();
  const token = sessions.begin('ann', start);
  expect(sessions.find(token, start + 999)?.value).toBe('ann');
  expect(sessions.find(token, start + 1998)?.value).toBe('ann');
  expect(sessions.find(token, start + 2998)).toBeNull();
  expect(sessions.find(token, start + 2000)).toBeNull();
  expect(sessions.size).toBe(0);
});

test('a session ends after its whole time however busy it is', () => {
  const sessions = book();
  const token = sessions.begin('ann', start);
  for (let age = 500; age < 5000; age += 500) expect(sessions.find(token, start + age)).not.toBeNull();
  expect(sessions.find(token, start + 4999)).not.toBeNull();
  expect(sessions.find(token, start + 5000)).toBeNull();
});

test('a clock that is set back does not make a session last', () => {
  const sessions = book();
  const token = sessions.begin('ann', start);
  expect(sessions.find(token, start - 1000)).toBeNull();
});

test('a session that was ended is gone, others stay', () => {
  const sessions = book();
  const [ann, bob] = [sessions.begin('ann', start), sessions.begin('bob', start)];
  sessions.end(ann);
  sessions.end('nonsense');
  expect(sessions.find(ann, start)).toBeNull();
  expect(sessions.find(bob, start)?.value).toBe('bob');
});

test('the session idle longest makes room for one too many', () => {
  const sessions = book();
  const [first, second] = [sessions.begin('1', start), sessions.begin('2', start)];
  sessions.begin('3', start);
  sessions.find(first, start + 1);
  sessions.begin('4', start + 2);
  expect(sessions.size).toBe(3);
  expect(sessions.find(second, start + 3)).toBeNull();
  expect(sessions.find(first, start + 3)?.value).toBe('1');
});

test('tokens and the marks of forms differ, and a mark is good for its own session only', () => {
  const sessions = book();
  const [a, b] = [sessions.begin('a', start), sessions.begin('b', start)];
  const [one, two] = [sessions.find(a, start), sessions.find(b, start)];
  if (one === null || two === null) throw new Error('no session');
  expect(new Set([a, b, one.csrf, two.csrf]).size).toBe(4);
  expect(isCsrf(one, one.csrf)).toBe(true);
  for (const given of ['', two.csrf, `${one.csrf}A`, one.csrf.slice(1)]) expect(isCsrf(one, given)).toBe(false);
});

test('cookieFrom() gives the one cookie of a name and refuses two', () => {
  expect(cookieFrom('a=1; __Host-x=y; b=2', '__Host-x')).toBe('y');
  expect(cookieFrom('__Host-x=y', '__Host-x')).toBe('y');
  for (const header of [undefined, '', 'a=1', '__Host-xx=y', '__Host-x=1; __Host-x=2', 'a=__Host-x=1']) {
    expect(cookieFrom(header, '__Host-x')).toBeNull();
  }
});

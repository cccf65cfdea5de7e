import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { Sessions, sessionLife } from '../../keyserver/calls/sessions.ts';

const session = {
  client: 'lk-1',
  linkId: '0123456789abcdef',
  reason: 'cold',
  fingerprint: null,
  bootId: null,
  said: {},
  approval: null,
};

test('a session is not found by another client', () => {
  const sessions = new Sessions(randomBytes);
  sessions.begin('id', session, 0);
  expect(sessions.find('id', 'lk-2', 1)).toBeNull();
  expect(sessions.find('id', 'lk-1', 1)?.linkId).toBe(session.linkId);
});

test('a session lapses after 10 s', () => {
  const sessions = new Sessions(randomBytes);
  sessions.begin('id', session, 1000);
  expect(sessions.find('id', 'lk-1', 1000 + sessionLife - 1)).not.toBeNull();
  expect(sessions.find('id', 'lk-1', 1000 + sessionLife)).toBeNull();
});

test('a session ends once', () => {
  const sessions = new Sessions(randomBytes);
  sessions.begin('id', session, 0);
  expect(sessions.end('id')).toBe(true);
  expect(sessions.end('id')).toBe(false);
  expect(sessions.find('id', 'lk-1', 1)).toBeNull();
});

test('lapsed sessions leave when others come, and the oldest when there are too many', () => {
  const sessions = new Sessions(randomBytes, 3);
  for (const id of ['a', 'b', 'c', 'd']) sessions.begin(id, session, 0);
  expect(sessions.size).toBe(3);
  expect(sessions.find('a', 'lk-1', 1)).toBeNull();
  sessions.begin('e', session, sessionLife);
  expect(sessions.size).toBe(1);
});

test('ids are 43 characters and differ', () => {
  const sessions = new Sessions(randomBytes);
  expect(sessions.newId()).toMatch(/^[A-Za-z0-9_-]{43}$/);
  expect(sessions.newId()).not.toBe(sessions.newId());
});

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  fingerprint,
  formatKnownHost,
  judgeHostKey,
  knownHostName,
  knownKeyTypes,
  parseKnownHosts,
} from '../../patcher/transports/known-hosts.ts';

function blob(fill: number, type = 'ssh-ed25519'): Buffer {
  const name = Buffer.from(type);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(name.length);
  return Buffer.concat([head, name, Buffer.from([0, 0, 0, 32]), Buffer.alloc(32, fill)]);
}

const one = blob(1);
const two = blob(2);
const line = (hosts: string, key = one, type = 'ssh-ed25519') => `${hosts} ${type} ${key.toString('base64')}\n`;
const judge = (text: string, host = 'cloud.example.org', port = 22, key = one) =>
  judgeHostKey(parseKnownHosts(text), host, port, key).verdict;

test('a host nobody has seen is unknown', () => {
  expect(judge('')).toBe('unknown');
  expect(judge(line('other.example.org'))).toBe('unknown');
  expect(judge(line('cloud.example.org'), 'cloud.example.org', 2222)).toBe('unknown');
  expect(judge(line('[cloud.example.org]:2222'))).toBe('unknown');
});

test('another key than the one on record is a change, also when its type is new', () => {
  expect(judge(line('cloud.example.org', two))).toBe('changed');
  const rsa = blob(3, 'ssh-rsa');
  expect(judge(line('cloud.example.org', rsa, 'ssh-rsa'))).toBe('changed');
});

test('a revoked key is refused even when another line trusts it', () => {
  expect(judge(`${line('cloud.example.org')}@revoked ${line('*')}`)).toBe('revoked');
  expect(judge(`${line('cloud.example.org')}@revoked ${line('*', two)}`)).toBe('known');
});

test('a certificate authority alone does not make a plain key known', () => {
  expect(judge(`@cert-authority ${line('*.example.org')}`)).toBe('authority');
  expect(judge(`@cert-authority ${line('*.example.org', two)}${line('cloud.example.org')}`)).toBe('known');
});

test('names, lists, wildcards, negations, ports and case match as in OpenSSH', () => {
  expect(judge(line('a,Cloud.Example.ORG'))).toBe('known');
  expect(judge(line('*.example.org'))).toBe('known');
  expect(judge(line('cloud.example.or?'))).toBe('known');
  expect(judge(line('*.example.org,!cloud.example.org'))).toBe('unknown');
  expect(judge(line('[cloud.example.org]:2222'), 'CLOUD.example.org', 2222)).toBe('known');
  expect(judge(line('*a*a*a*a*a*a*a*a*b'), 'a'.repeat(200))).toBe('unknown');
});

test('lines that cannot be read trust nobody', () => {
  for (const text of [
    '# cloud.example.org ssh-ed25519 AAAA\n',
    'cloud.example.org\n',
    'cloud.example.org ssh-ed25519 !!!!\n',
    line('cloud.example.org').replace('ssh-ed25519', 'ssh-rsa'),
    `@unknown ${line('cloud.example.org')}`,
    line('|2|AAAA|AAAA'),
    line('|1|AAAA|AAAA'),
    line('|1|'),
  ]) {
    expect(judge(text)).toBe('unknown');
  }
});

test('a hashed line made by us is matched by us and found by ssh-keygen -F, and the other way round', (context) => {
  if (spawnSync('ssh-keygen', ['-?']).error !== undefined) return context.skip('ssh-keygen is not installed');
  const folder = mkdtempSync(join(tmpdir(), 'known-hosts-'));
  try {
    const file = join(folder, 'known_hosts');
    spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'key')]);
    const key = Buffer.from(readFileSync(join(folder, 'key.pub'), 'utf8').split(' ')[1] ?? '', 'base64');
    writeFileSync(file, formatKnownHost('cloud.example.org', 2222, key, Buffer.alloc(20, 7)));
    expect(judge(readFileSync(file, 'utf8'), 'cloud.example.org', 2222, key)).toBe('known');
    const found = spawnSync('ssh-keygen', ['-l', '-F', '[cloud.example.org]:2222', '-f', file], { encoding: 'utf8' });
    expect(found.stdout).toContain(fingerprint(key));
    writeFileSync(file, formatKnownHost('cloud.example.org', 22, key, null));
    spawnSync('ssh-keygen', ['-H', '-f', file]);
    expect(readFileSync(file, 'utf8')).toMatch(/^\|1\|/);
    expect(judge(readFileSync(file, 'utf8'), 'cloud.example.org', 22, key)).toBe('known');
    expect(judge(readFileSync(file, 'utf8'), 'cloud.example.org', 22, two)).toBe('changed');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the key types on record are told, so that the server is asked for those', () => {
  const text = line('h') + line('h', blob(4, 'ssh-rsa'), 'ssh-rsa') + line('x', blob(5, 'ssh-dss'), 'ssh-dss');
  expect(knownKeyTypes(parseKnownHosts(text), 'h', 22)).toEqual(['ssh-ed25519', 'ssh-rsa']);
});

test('what is written is read back as known, and never trusts another key or host', () => {
  const host = fc.stringMatching(/^[a-z0-9][a-z0-9.-]{0,30}$/);
  fc.assert(
    fc.property(host, host, fc.integer({ min: 1, max: 65535 }), fc.boolean(), (name, other, port, hashed) => {
      const text = formatKnownHost(name, port, one, hashed ? Buffer.alloc(20, 9) : null);
      expect(judge(text, name, port)).toBe('known');
      expect(judge(text, name, port, two)).toBe('changed');
      if (knownHostName(other, port) !== knownHostName(name, port)) expect(judge(text, other, port)).toBe('unknown');
    }),
  );
});

test('no text makes the parser throw', () => {
  fc.assert(fc.property(fc.string(), (text) => void parseKnownHosts(text)));
});

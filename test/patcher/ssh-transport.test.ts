import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Prompter } from '../../patcher/transports/prompter.ts';
import { openSshTransport, type SshOptions } from '../../patcher/transports/ssh-transport.ts';
import { freePort } from '../harness/free-port.ts';
import {
  makeKey,
  makeUser,
  sshdMissing,
  startCuttableLine,
  startSshd,
  type TestSshd,
  type TestUser,
} from '../harness/sshd.ts';
import { transportContract } from './transport-contract.ts';

const missing = sshdMissing();

/** Answers in turn and remembers what was asked. */
function script(...answers: (string | null)[]): Prompter & { asked: { question: string; secret: boolean }[] } {
  const asked: { question: string; secret: boolean }[] = [];
  return {
    asked,
    ask: async (question, { secret }) => {
      asked.push({ question, secret });
      return answers.shift() ?? null;
    },
  };
}

describe.skipIf(missing !== null)(`over a real sshd${missing === null ? '' : ` (${missing})`}`, () => {
  let sshd: TestSshd;
  let folder: string;
  const code = (word: string, exit = 1) => expect.objectContaining({ code: word, exit });

  const options = (more: Partial<SshOptions> = {}): SshOptions => ({
    target: { user: 'root', host: sshd.address, port: sshd.port },
    identity: sshd.identity,
    knownHosts: [sshd.knownHosts],
    keyFolder: folder,
    prompter: null,
    ...more,
  });

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'latchkey-ssh-'));
    chmodSync(folder, 0o755);
    sshd = await startSshd();
  });
  afterAll(async () => {
    await sshd.stop();
    rmSync(folder, { recursive: true });
  });

  describe('as root', () => {
    transportContract(() => openSshTransport(options()));

    test('runs programs as another user when asked to', async () => {
      const user = makeUser();
      const transport = await openSshTransport(options());
      try {
        const run = await transport.run(['sh', '-c', 'id -un; cat'], { as: user.name, input: 'in' });
        expect(run.stdout.toString()).toBe(`${user.name}\nin`);
        await expect(transport.run(['id'], { as: '-u root' })).rejects.toEqual(code('invalid_user'));
      } finally {
        await transport.close();
        user.remove();
      }
    });
  });

  describe('as a user with free sudo', () => {
    let user: TestUser;
    beforeAll(() => {
      user = makeUser({ sudo: 'free' });
    });
    afterAll(() => user.remove());
    transportContract(() =>
      openSshTransport(options({ target: { ...options().target, user: user.name }, sudo: true })),
    );
  });

  describe('as a user without rights', () => {
    let user: TestUser;
    beforeAll(() => {
      user = makeUser();
    });
    afterAll(() => user.remove());
    const target = () => ({ ...options().target, user: user.name });
    transportContract(() => openSshTransport(options({ target: target() })));

    test('acting as somebody else and writing to what is not ours are refused with a hint', async () => {
      const transport = await openSshTransport(options({ target: target() }));
      expect(transport.user).toEqual({ name: user.name, uid: user.uid, gid: user.gid });
      await expect(transport.run(['id'], { as: 'root' })).rejects.toEqual(code('needs_root'));
      expect((await transport.run(['id', '-un'], { as: user.name })).stdout.toString()).toBe(`${user.name}\n`);
      writeFileSync(join(folder, 'mine'), 'secret', { mode: 0o600 });
      await expect(transport.readFile(join(folder, 'mine'), { max: 100 })).rejects.toEqual(code('permission_denied'));
      await expect(
        transport.writeFileAtomic(join(folder, 'x'), Buffer.from('x'), { mode: 0o600, uid: user.uid, gid: user.gid }),
      ).rejects.toEqual(code('permission_denied'));
      await transport.close();
    });

    test('sudo without the right to it is refused', async () => {
      await expect(openSshTransport(options({ target: target(), sudo: true }))).rejects.toEqual(code('sudo_refused'));
      const prompter = script('wrong', 'wrong', 'wrong');
      await expect(openSshTransport(options({ target: target(), sudo: true, prompter }))).rejects.toEqual(
        code('sudo_refused'),
      );
    });
  });

  describe('sudo with a password', () => {
    const password = 'correct horse "battery" $taple';
    let user: TestUser;
    beforeAll(() => {
      user = makeUser({ sudo: 'password', password });
    });
    afterAll(() => user.remove());

    test('is asked for, retried, and never reaches the program, its argv or a file', async () => {
      const prompter = script('wrong', password);
      const transport = await openSshTransport(
        options({ target: { ...options().target, user: user.name }, sudo: true, prompter }),
      );
      try {
        expect(prompter.asked).toHaveLength(2);
        expect(prompter.asked[0]?.secret).toBe(true);
        expect(transport.user.uid).toBe(0);
        expect((await transport.run(['cat'], { input: 'only this\n' })).stdout.toString()).toBe('only this\n');
        const listing = await transport.run(['sh', '-c', 'cat /proc/[0-9]*/cmdline | tr "\\0" " "']);
        expect(listing.stdout.toString()).not.toContain('battery');
        await transport.writeFileAtomic(join(folder, 'by-sudo'), Buffer.from('x'), { mode: 0o600, uid: 0, gid: 0 });
        expect(readFileSync(join(folder, 'by-sudo'), 'utf8')).toBe('x');
      } finally {
        await transport.close();
      }
    });

    test('does not leak into stdin when a rule makes it needless after all', async () => {
      const prompter = script(password);
      const transport = await openSshTransport(
        options({ target: { ...options().target, user: user.name }, sudo: true, prompter }),
      );
      const rule = `/etc/sudoers.d/zz${user.name}`;
      writeFileSync(rule, `${user.name} ALL=(ALL) NOPASSWD: ALL\n`, { mode: 0o440 });
      try {
        expect((await transport.run(['cat'], { input: 'only this\n' })).stdout.toString()).toBe('only this\n');
      } finally {
        rmSync(rule);
        await transport.close();
      }
    });
  });

  describe('the host key', () => {
    const emptyKnownHosts = () => join(mkdtempSync(join(folder, 'known-')), 'sub', 'known_hosts');

    test('of an unknown host is refused without a terminal, and nothing is stored', async () => {
      const file = emptyKnownHosts();
      await expect(openSshTransport(options({ knownHosts: [file] }))).rejects.toEqual(code('host_key_unknown', 3));
      await expect(
        openSshTransport(options({ knownHosts: [file], acceptHostKey: `SHA256:${'A'.repeat(43)}` })),
      ).rejects.toEqual(code('host_key_mismatch', 3));
      await expect(openSshTransport(options({ knownHosts: [file], acceptHostKey: 'yes' }))).rejects.toMatchObject({
        code: 'invalid_fingerprint',
        exit: 2,
      });
      expect(() => readFileSync(file)).toThrow();
    });

    test('named on the command line is trusted and stored', async () => {
      const file = emptyKnownHosts();
      await (await openSshTransport(options({ knownHosts: [file], acceptHostKey: sshd.fingerprint }))).close();
      await (await openSshTransport(options({ knownHosts: [file] }))).close();
      expect(readFileSync(file, 'utf8')).toBe(`[${sshd.address}]:${sshd.port} ${sshd.hostKey}\n`);
    });

    test('is asked about with its fingerprint, and only yes is a yes', async () => {
      const file = emptyKnownHosts();
      for (const answer of ['y', '', 'no', null]) {
        const prompter = script(answer);
        await expect(openSshTransport(options({ knownHosts: [file], prompter }))).rejects.toEqual(
          code('host_key_unknown', 3),
        );
        expect(prompter.asked[0]?.question).toContain(sshd.fingerprint);
      }
      const prompter = script('yes');
      await (await openSshTransport(options({ knownHosts: [file], prompter }))).close();
      expect(prompter.asked).toHaveLength(1);
    });

    test('that changed is refused whatever is typed or named', async () => {
      const file = join(folder, 'changed');
      makeKey(join(folder, 'other'), 'ed25519');
      const other = readFileSync(join(folder, 'other.pub'), 'utf8').split(' ').slice(0, 2).join(' ').trim();
      writeFileSync(file, `[${sshd.address}]:${sshd.port} ${other}\n`);
      const prompter = script('yes', 'yes');
      for (const more of [{ prompter }, { acceptHostKey: sshd.fingerprint }, {}]) {
        await expect(openSshTransport(options({ knownHosts: [file], ...more }))).rejects.toEqual(
          code('host_key_changed', 3),
        );
      }
      expect(prompter.asked).toEqual([]);
      expect(readFileSync(file, 'utf8')).toBe(`[${sshd.address}]:${sshd.port} ${other}\n`);
    });

    test('that is revoked, or vouched for by an authority only, is refused with the reason', async () => {
      const file = join(folder, 'revoked');
      const line = `[${sshd.address}]:${sshd.port} ${sshd.hostKey}\n`;
      writeFileSync(file, `${line}@revoked * ${sshd.hostKey}\n`);
      await expect(openSshTransport(options({ knownHosts: [file] }))).rejects.toEqual(code('host_key_revoked', 3));
      await expect(openSshTransport(options({ knownHosts: [sshd.knownHosts, file] }))).rejects.toEqual(
        code('host_key_revoked', 3),
      );
      writeFileSync(file, `@cert-authority * ${sshd.hostKey}\n`);
      await expect(openSshTransport(options({ knownHosts: [file] }))).rejects.toEqual(code('host_key_authority', 3));
    });

    test.each(['ecdsa', 'rsa'] as const)('of type %s works', async (hostKeyType) => {
      const server = await startSshd({ hostKeyType });
      try {
        const target = { user: 'root', host: server.address, port: server.port };
        const more = { target, identity: server.identity, knownHosts: [server.knownHosts] };
        await (await openSshTransport(options(more))).close();
      } finally {
        await server.stop();
      }
    });
  });

  describe('the login', () => {
    let agent: ChildProcess;
    let socket: string;
    beforeAll(async () => {
      socket = join(folder, 'agent.sock');
      agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
      for (let tries = 0; tries < 100; tries++) {
        try {
          execFileSync('ssh-add', ['-q', sshd.identity], {
            env: { ...process.env, SSH_AUTH_SOCK: socket },
            stdio: 'pipe',
          });
          break;
        } catch {
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      }
    });
    afterAll(() => void agent.kill());
    const without = (more: Partial<SshOptions>): SshOptions => {
      const { identity: _, ...rest } = options(more);
      return rest;
    };

    test('without any credential is refused', async () => {
      await expect(openSshTransport(without({}))).rejects.toEqual(code('login_refused'));
    });

    test('works with an agent, and a dead agent is passed over', async () => {
      await (await openSshTransport(without({ agent: socket }))).close();
      const dead = join(folder, 'dead.sock');
      await expect(openSshTransport(without({ agent: dead }))).rejects.toEqual(code('login_refused'));
      await (await openSshTransport(options({ agent: dead }))).close();
    });

    test('asks for the passphrase of an encrypted key, and gives up after three', async () => {
      const file = join(folder, 'encrypted');
      execFileSync('cp', [sshd.identity, file]);
      execFileSync('ssh-keygen', ['-q', '-p', '-N', 'pass phrase', '-P', '', '-f', file], { stdio: 'pipe' });
      const prompter = script('wrong', 'pass phrase');
      await (await openSshTransport(options({ identity: file, prompter }))).close();
      expect(prompter.asked).toEqual([
        { question: `passphrase of ${file}`, secret: true },
        { question: `passphrase of ${file}`, secret: true },
      ]);
      await expect(openSshTransport(options({ identity: file }))).rejects.toEqual(code('identity_unusable'));
      const wrong = script('a', 'b', 'c', 'pass phrase');
      await expect(openSshTransport(options({ identity: file, prompter: wrong }))).rejects.toEqual(
        code('identity_unusable'),
      );
      await expect(openSshTransport(options({ identity: join(folder, 'none') }))).rejects.toMatchObject({
        code: 'identity_unreadable',
        exit: 2,
      });
    });

    test('asks for a password where the server takes one', async () => {
      const user = makeUser({ password: 'pass word' });
      const server = await startSshd({ config: ['PasswordAuthentication yes', 'PubkeyAuthentication no'] });
      try {
        const more = {
          target: { user: user.name, host: server.address, port: server.port },
          knownHosts: [server.knownHosts],
        };
        const prompter = script('wrong', 'pass word');
        const transport = await openSshTransport(without({ ...more, prompter }));
        expect(transport.user.name).toBe(user.name);
        await transport.close();
        expect(prompter.asked.map((entry) => entry.secret)).toEqual([true, true]);
        await expect(
          openSshTransport(without({ ...more, prompter: script('x', 'y', 'z', 'pass word') })),
        ).rejects.toEqual(code('login_refused'));
        await expect(openSshTransport(without(more))).rejects.toEqual(code('login_refused'));
      } finally {
        await server.stop();
        user.remove();
      }
    });

    test('to a host that is not there, or does not speak ssh, says so', async () => {
      const port = await freePort();
      await expect(openSshTransport(options({ target: { user: 'root', host: '127.0.0.1', port } }))).rejects.toEqual(
        code('connect_failed'),
      );
      const target = { user: 'root', host: 'no-such-host.invalid', port: 22 };
      await expect(openSshTransport(options({ target }))).rejects.toEqual(code('connect_failed'));
    });
  });

  describe('when the line breaks', () => {
    test('running and later calls reject with connection_lost', async () => {
      const line = await startCuttableLine(sshd.port);
      const known = join(folder, 'line-known');
      writeFileSync(known, `[127.0.0.1]:${line.port} ${sshd.hostKey}\n`);
      const target = { user: 'root', host: '127.0.0.1', port: line.port };
      const transport = await openSshTransport(options({ target, knownHosts: [known] }));
      const runs = [
        transport.run(['sleep', '30']),
        ...Array.from({ length: 12 }, () => transport.run(['sleep', '30'])),
      ];
      const judged = Promise.allSettled(runs);
      setTimeout(() => line.cut(), 300);
      for (const result of await judged) {
        expect(result).toMatchObject({ status: 'rejected', reason: { code: 'connection_lost' } });
      }
      await expect(transport.run(['true'])).rejects.toEqual(code('connection_lost'));
      await expect(transport.stat('/etc')).rejects.toEqual(code('connection_lost'));
      await transport.close();
      await line.close();
    });

    test('a file whose content did not arrive whole is not put in place', async () => {
      const at = mkdtempSync(join(folder, 'cut-'));
      writeFileSync(join(at, 'f'), 'before');
      const line = await startCuttableLine(sshd.port);
      const known = join(folder, 'line-known-2');
      writeFileSync(known, `[127.0.0.1]:${line.port} ${sshd.hostKey}\n`);
      const target = { user: 'root', host: '127.0.0.1', port: line.port };
      const owner = { mode: 0o600, uid: 0, gid: 0 };
      for (const bytes of [2_000, 100_000, 300_000]) {
        const transport = await openSshTransport(options({ target, knownHosts: [known] }));
        line.cutAfter(bytes);
        const data = Buffer.alloc(500_000, 'x');
        await expect(transport.writeFileAtomic(join(at, 'f'), data, owner)).rejects.toEqual(code('connection_lost'));
        await transport.close();
        const tree = await openSshTransport(options({ target, knownHosts: [known] }));
        line.cutAfter(bytes);
        const files = [
          { path: 'a', data, mode: 0o600 },
          { path: 'b', data, mode: 0o600 },
        ];
        await expect(tree.uploadTree(join(at, 'tree'), files, owner)).rejects.toEqual(code('connection_lost'));
        await tree.close();
      }
      await new Promise((resolve) => setTimeout(resolve, 500));
      expect(readFileSync(join(at, 'f'), 'utf8')).toBe('before');
      expect(execFileSync('ls', ['-A', at], { encoding: 'utf8' })).toBe('f\n');
      await line.close();
    });
  });

  test('a login shell that is no POSIX shell, or prints of its own, is noticed', async () => {
    const server = await startSshd({ config: ['ForceCommand echo welcome; sh -c "$SSH_ORIGINAL_COMMAND"'] });
    try {
      const target = { user: 'root', host: server.address, port: server.port };
      const more = { target, identity: server.identity, knownHosts: [server.knownHosts] };
      await expect(openSshTransport(options(more))).rejects.toEqual(code('shell_unsuitable'));
    } finally {
      await server.stop();
    }
  });
});

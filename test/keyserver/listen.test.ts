import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addClientCommands } from '../../keyserver/commands/client.ts';
import { addListenCommand } from '../../keyserver/commands/listen.ts';
import { movedConfig, newConfig } from '../../keyserver/config.ts';
import { hostsIn } from '../../platform/listening/identity.ts';
import { runCommand, type Said } from './command-runner.ts';
import { RunningServer } from './running-server.ts';

const foreign = Object.values(networkInterfaces())
  .flatMap((list) => list ?? [])
  .find((entry) => !entry.internal && entry.family === 'IPv4')?.address;

let server: RunningServer;
beforeAll(async () => {
  server = await RunningServer.start({ clients: 1 });
});
afterAll(() => server.stop());

const listen = (...argv: string[]): Promise<Said> =>
  runCommand(addListenCommand, ['listen', ...argv, '--data', server.made.data]);
const config = () => readFileSync(join(server.made.data, 'config.json'), 'utf8');

/** Names in the certificate that it serves with now, as a client sees it that trusts this authority alone. */
function namesServed(): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: server.port, ca: server.made.ca, servername: 'localhost' };
    const socket = connect(options, () => {
      const { raw } = socket.getPeerCertificate();
      socket.end();
      resolve(hostsIn(`-----BEGIN CERTIFICATE-----\n${raw.toString('base64')}\n-----END CERTIFICATE-----\n`));
    });
    socket.on('error', reject);
  });
}

describe('keyserver listen', () => {
  it.each([
    ['every interface', ['0.0.0.0:8443'], 3, 'error: 0.0.0.0 means every interface'],
    ['every interface of IPv6', ['[::]:8443'], 3, 'error: :: means every interface'],
    ['a name', ['keys.example:8443'], 2, 'error: "IP:PORT" must be IP:PORT'],
    ['an address without a port', ['127.0.0.1'], 2, 'error: "IP:PORT" must be IP:PORT'],
    ['a name that is none', ['--host', 'keys..example'], 2, '"hosts.0" must be a host name'],
    ['a second address', ['127.0.0.1:1', '127.0.0.1:2'], 2, 'too many arguments'],
  ])('refuses %s and changes nothing', async (_, argv, exit, words) => {
    const before = [config(), await server.events()];
    const said = await listen(...argv);
    expect(said).toMatchObject({ exit, stdout: '' });
    expect(said.stderr).toContain(words);
    expect([config(), await server.events()]).toEqual(before);
  });

  it.runIf(foreign !== undefined)('refuses the address of an interface that is no tunnel', async () => {
    const before = config();
    const said = await listen(`${foreign}:8443`, '--json');
    expect(said.exit).toBe(3);
    expect(JSON.parse(said.stdout)).toMatchObject({ error: { code: 'listen_refused', field: 'IP:PORT' } });
    expect(config()).toBe(before);
  });

  it('refuses where there is no server', async () => {
    const said = await runCommand(addListenCommand, ['listen', '--data', '/nowhere', '--json']);
    expect(JSON.parse(said.stdout)).toMatchObject({ error: { code: 'data_missing' } });
  });

  it('shows what is, and changes nothing by that', async () => {
    const before = config();
    const said = await listen('--json');
    expect(JSON.parse(said.stdout)).toEqual({
      listen: { host: '127.0.0.1', port: server.port },
      hosts: ['127.0.0.1', 'localhost'],
      url: `https://127.0.0.1:${server.port}`,
      transport: 'tls',
      changed: false,
    });
    expect(said.stderr).toBe('');
    expect(config()).toBe(before);
  });

  it('gives the next start another certificate by the same authority, which enrolled clients trust', async () => {
    const address = `127.0.0.1:${server.port}`;
    const said = await listen(address, '--host', '127.0.0.1', 'localhost', '10.71.3.1', 'keys.example');
    expect(said.exit).toBe(0);
    expect(said.stderr).toContain('from the next start of the server');
    expect(await namesServed()).not.toContain('keys.example');
    expect(await server.events()).toContain('listen_changed');

    await server.stop();
    await server.resume();
    expect(await namesServed()).toEqual(expect.arrayContaining(['10.71.3.1', 'keys.example', 'localhost']));
    expect((await listen(address, '--json')).stdout).toContain('"changed": false');
  });

  it('tells who will not be served any more, and that an address is not there yet', async () => {
    const said = await listen('10.71.3.1:8443', '--host', '10.71.3.1');
    expect(said.exit).toBe(0);
    expect(said.stderr).toContain('10.71.3.1 is on no interface yet');
    expect(said.stderr).toContain('names 127.0.0.1, localhost, keys.example no more');
    expect(said.stdout).toContain('listen  10.71.3.1:8443, tls\n');
  });
});

describe('movedConfig()', () => {
  const names = ['keys.example', '10.8.0.1', '10.9.0.1'];
  const before = { ...newConfig({ host: '10.8.0.1', port: 8443 }, names, 'tls'), probe: ['10.8.0.2:53'] };

  it('puts the new address where the old one was, and keeps that as a name', () => {
    const moved = movedConfig(before, { host: '10.10.0.1', port: 9443 }, null);
    expect(moved.hosts).toEqual(['keys.example', '10.10.0.1', '10.9.0.1', '10.8.0.1']);
    expect(moved.url).toBe('https://keys.example:9443');
  });
  it('takes other names in place of the present ones', () => {
    const moved = movedConfig(before, before.listen, ['other.example']);
    expect(moved).toEqual({ ...before, hosts: ['other.example', '10.8.0.1'], url: 'https://other.example:8443' });
  });
  it('is found again from where it was', () => {
    const there = movedConfig(before, { host: '127.0.0.1', port: 8443 }, null);
    const back = movedConfig(there, before.listen, null);
    expect(back).toMatchObject({ listen: before.listen, url: before.url, probe: before.probe });
  });
});

describe('keyserver client grant', () => {
  const grant = (name: string) =>
    runCommand(addClientCommands, ['client', 'grant', name, '--data', server.made.data, '--json']);

  it.each([
    ['a client that is not there', 'nobody', 'client_unknown'],
    ['one that waits for its code', 'waiting', 'client_not_enrolled'],
    ['one that was revoked', 'gone', 'client_not_enrolled'],
  ])('refuses %s', async (_, name, code) => {
    const client = (...argv: string[]) =>
      runCommand(addClientCommands, ['client', ...argv, '--data', server.made.data]);
    if (name !== 'nobody') await client('add', name, '--from', '127.0.0.1');
    if (name === 'gone') await client('revoke', name);
    const rows = () => server.beside((tx) => tx.selectFrom('grant').selectAll().execute());
    const before = await rows();
    expect(JSON.parse((await grant(name)).stdout)).toMatchObject({ error: { code } });
    expect(await rows()).toEqual(before);
  });

  it('ends the one before, and leaves token, chain and certificate as they are', async () => {
    const id = server.made.clients[0]?.clientId ?? '';
    const credentials = () => server.beside((tx) => tx.selectFrom('client').selectAll().where('id', '=', id).execute());
    const grants = () =>
      server.beside((tx) => tx.selectFrom('grant').selectAll().where('client_id', '=', id).execute());
    const before = await credentials();
    const [old] = await grants();
    const said = JSON.parse((await grant('client-0')).stdout) as { clientId: string; grant: string };
    expect(said).toMatchObject({ clientId: id, grant: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/) });
    expect(await credentials()).toEqual(before);
    const after = await grants();
    expect(after).toHaveLength(1);
    expect(after[0]?.grant_hash).not.toEqual(old?.grant_hash);
    expect((await server.events()).at(-1)).toBe('grant_made');
  });
});

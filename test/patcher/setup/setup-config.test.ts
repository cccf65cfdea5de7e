import { describe, expect, it } from 'vitest';
import { agree } from '../../../patcher/setup/agree.ts';
import { parseSetup } from '../../../patcher/setup/setup-config.ts';

const server = { ssh: 'root@cloud.example' };

describe('the configuration of a setup', () => {
  it.each([
    [{}, 'server'],
    [{ server: {} }, 'server.ssh'],
    [{ server: { ssh: 'root@cloud.example', local: true } }, 'server.ssh'],
    [{ server: { ssh: 'cloud.example' } }, 'server.ssh'],
    [{ server: { ...server, acceptHostKey: 'SHA256:short' } }, 'server.acceptHostKey'],
    [{ server: { ...server, root: 'www' } }, 'server.root'],
    [{ server, home: { sudo: true } }, 'home.ssh'],
    [{ server, transport: 'pigeon' }, 'transport'],
    [{ server, wireguard: { dials: 'both' } }, 'wireguard.dials'],
    [{ server, wireguard: { port: 0 } }, 'wireguard.port'],
    [{ server, wireguard: { interface: 'wg 0' } }, 'wireguard.interface'],
    [{ server, wireguard: { endpoint: 'home.example; reboot' } }, 'wireguard.endpoint'],
    [{ server, sshTunnel: { listen: 70_000 } }, 'sshTunnel.listen'],
    [{ server, keyServer: { data: 'keys' } }, 'keyServer.data'],
    [{ server, keyServer: { account: '-r' } }, 'keyServer.account'],
    [{ server, client: '../x' }, 'client'],
    [{ server, skip: ['hook'] }, 'skip.0'],
    [{ server, escrow: { copy: '' } }, 'escrow.copy'],
    [{ server, passphrase: 'x' }, 'passphrase'],
  ])('refuses %j, naming the field', (wish, field) => {
    expect(() => parseSetup(wish, '/desk')).toThrow(expect.objectContaining({ code: 'setup_invalid', exit: 2, field }));
  });

  it('is whole with a server alone', () => {
    expect(parseSetup({ server }, '/desk')).toMatchObject({
      server: { ssh: 'root@cloud.example', sudo: false },
      home: { local: true, sudo: false },
      transport: 'wireguard',
      wireguard: { dials: 'home', port: 51_820, interface: 'latchkey' },
      client: 'cloud',
      skip: [],
    });
  });

  it('takes paths of this machine as relative to where it lies', () => {
    const wish = {
      server: { ...server, identity: 'id', root: '/var/www' },
      escrow: { copy: '/media/copy' },
      folder: 'out',
    };
    const { server: place, escrow, folder } = parseSetup(wish, '/desk');
    expect([place.identity, place.root, escrow.copy, folder]).toEqual([
      '/desk/id',
      '/var/www',
      '/media/copy',
      '/desk/out',
    ]);
  });
});

describe('what is settled before the first step', () => {
  const chosen = { network: '10.71.3.0/30', homeAddress: '10.71.3.1', serverAddress: '10.71.3.2' };
  const choose = async () => chosen;
  const refuse = async () => {
    throw new Error('nothing is to be chosen');
  };

  it('names the field that only the owner knows', async () => {
    const dialled = parseSetup({ server, wireguard: { dials: 'server' } }, '/');
    await expect(agree(dialled, 'linux', null, choose)).rejects.toMatchObject({ exit: 2, field: 'wireguard.endpoint' });
    const local = parseSetup({ server: { local: true }, home: { ssh: 'root@mini' }, transport: 'ssh' }, '/');
    await expect(agree(local, 'linux', null, choose)).rejects.toMatchObject({ exit: 2, field: 'sshTunnel.endpoint' });
  });

  it('is WireGuard to where ssh finds the server, unless told otherwise', async () => {
    const { wireguard, sshTunnel, keyServer } = await agree(parseSetup({ server }, '/'), 'linux', null, choose);
    expect(wireguard).toEqual({
      ...chosen,
      interface: 'latchkey',
      dials: 'home',
      endpoint: { host: 'cloud.example', port: 51_820 },
    });
    expect(sshTunnel).toBeNull();
    expect(keyServer).toMatchObject({
      listen: { host: '10.71.3.1', port: 8443 },
      urls: ['https://10.71.3.1:8443'],
      from: ['10.71.3.2/32'],
      data: '/var/lib/latchkey/keys',
      keyfile: '/var/lib/latchkey/keys.keyfile',
    });
  });

  it('keeps what an earlier run has settled, and takes a network that is told anew', async () => {
    const earlier = await agree(parseSetup({ server }, '/'), 'linux', null, choose);
    expect(await agree(parseSetup({ server }, '/'), 'linux', earlier, refuse)).toEqual(earlier);
    const moved = parseSetup({ server, wireguard: { network: '10.9.9.0/30' } }, '/');
    await expect(agree(moved, 'linux', earlier, refuse)).rejects.toThrow('nothing is to be chosen');
  });

  it('has a key server on loopback where ssh is all there is, and asks it from the machine itself', async () => {
    const config = parseSetup({ server: { ssh: 'root@cloud.example:2222' }, transport: 'ssh' }, '/');
    const { wireguard, sshTunnel, keyServer } = await agree(config, 'macos', null, refuse);
    expect(wireguard).toBeNull();
    expect(sshTunnel).toMatchObject({ dials: 'home', endpoint: { host: 'cloud.example', port: 2222 }, listen: 8443 });
    expect(keyServer).toMatchObject({
      listen: { host: '127.0.0.1', port: 8443 },
      urls: ['https://127.0.0.1:8443'],
      from: ['127.0.0.1/32'],
      data: '/var/db/latchkey/keys',
    });
  });

  it('has both ways with both, the tunnel first', async () => {
    const { keyServer } = await agree(parseSetup({ server, transport: 'both' }, '/'), 'linux', null, choose);
    expect(keyServer.urls).toEqual(['https://10.71.3.1:8443', 'https://127.0.0.1:8443']);
    expect(keyServer.from).toEqual(['10.71.3.2/32', '10.71.3.1/32']);
    expect(keyServer.hosts).toEqual(['10.71.3.1', '127.0.0.1', 'localhost']);
  });
});

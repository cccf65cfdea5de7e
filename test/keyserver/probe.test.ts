import { type AddressInfo, createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isConnectedTo, probeTarget } from '../../keyserver/presence/probe.ts';
import { parseInput } from '../../platform/schema.ts';
import { freePort } from './made-server.ts';

/** A group, to which no connection can lead. */
const nowhere = '224.0.0.1:80';

describe('probeTarget', () => {
  test.each([
    '',
    'example.org:80',
    '192.168.1.1',
    '192.168.1.1:',
    '192.168.1.1:0',
    '192.168.1.1:65536',
    '300.1.1.1:80',
  ])('refuses %j', (text) => expect(() => parseInput(probeTarget, text)).toThrow(/an IP address and a port/));

  test.each(['fd00::1:80', '[192.168.1.1]:80', '[fd00::1]', '[::1]:080', ' 10.0.0.1:80'])('refuses %j', (text) => {
    expect(() => parseInput(probeTarget, text)).toThrow(/an IP address and a port/);
  });

  test.each(['192.168.1.1:80', '[fd00::1]:65535'])('takes %s', (text) => {
    expect(parseInput(probeTarget, text)).toBe(text);
  });
});

describe('isConnectedTo()', () => {
  let server: Server;
  let listening: string;

  beforeAll(async () => {
    server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    listening = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  });

  afterAll(() => server.close());

  test('is false when none of the hosts can be reached', async () => {
    expect(await isConnectedTo([nowhere, nowhere])).toBe(false);
  });

  test('is true when one of them takes the connection', async () => {
    expect(await isConnectedTo([nowhere, listening])).toBe(true);
  });

  test('is true when one of them turns it away itself', async () => {
    expect(await isConnectedTo([`127.0.0.1:${await freePort()}`])).toBe(true);
  });

  test('is true when there is nobody to ask', async () => {
    expect(await isConnectedTo([])).toBe(true);
  });
});

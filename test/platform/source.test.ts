import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createHttpApp } from '../../platform/http-app.ts';
import { sourceOf } from '../../platform/listening/source.ts';
import { createLog } from '../../platform/log.ts';

const proxies = ['127.0.0.1/32', '10.8.0.0/24', 'fd42::/64'];
const proxy = '127.0.0.1';
const client = '198.51.100.7';

describe('sourceOf() stays with the connection’s own address', () => {
  it.each([
    ['a client that connects itself', '203.0.113.9', client],
    ['one whose address only begins like a proxy’s', '127.0.0.10', client],
    ['a peer without an address', '', client],
    ['no proxy to trust', proxy, client, []],
  ])('for %s, whatever it says', (_, peer, said, trusted: readonly string[] = proxies) => {
    expect(sourceOf(peer, said, trusted)).toBe(peer);
  });

  it('where a proxy says nothing', () => {
    expect(sourceOf(proxy, undefined, proxies)).toBe(proxy);
  });

  it.each([
    '',
    ' ',
    ',',
    `${client},`,
    `${client}, `,
    'unknown',
    '_hidden',
    '_hidden:_port',
    'localhost',
    'for=198.51.100.7',
    '"198.51.100.7"',
    '"[2001:db8::1]:4711"',
    '198.51.100.7:',
    '198.51.100.7:port',
    '198.51.100.7:65536',
    '198.51.100.7:4711:1',
    '198.51.100.7 198.51.100.8',
    '198.51.100.7;198.51.100.8',
    '198.51.100.7/32',
    '198.51.100',
    '198.51.100.256',
    '198.51.100.07',
    '0xc6336407',
    '3325256711',
    '::ffff:198.51.100.256',
    '2001:db8::1%eth0',
    'fe80::1%25eth0',
    '[2001:db8::1',
    '2001:db8::1]',
    '[2001:db8::1]4711',
    '[198.51.100.7]:4711',
    '[2001:db8::1%eth0]:4711',
    '2001:db8:::1',
    '198.51.100.7\u00a0',
    '１９８.51.100.7',
    `${' '.repeat(70)}${client}`,
  ])('where a proxy ends its list with %j', (said) => {
    expect(sourceOf(proxy, said, proxies)).toBe(proxy);
    expect(sourceOf(proxy, `${client}, ${said}`, proxies)).toBe(proxy);
    expect(sourceOf(proxy, `${client}, ${said}, 10.8.0.9`, proxies)).toBe(proxy);
  });

  it.each([
    ['one proxy', '10.8.0.9'],
    ['many', Array.from({ length: 15 }, (_, hop) => `10.8.0.${hop}`).join(', ')],
  ])('where the list ends among the proxies themselves: %s', (_, said) => {
    expect(sourceOf(proxy, said, proxies)).toBe(proxy);
  });

  it('behind more proxies than anybody has', () => {
    const chain = (hops: number): string => [client, ...Array.from({ length: hops }, () => '10.8.0.9')].join(', ');
    expect(sourceOf(proxy, chain(15), proxies)).toBe(client);
    expect(sourceOf(proxy, chain(16), proxies)).toBe(proxy);
    expect(sourceOf(proxy, chain(100), proxies)).toBe(proxy);
  });
});

describe('sourceOf() believes a proxy', () => {
  it.each([
    [client, client],
    [`  ${client}\t`, client],
    [`${client}:4711`, client],
    ['2001:DB8:0:0::1', '2001:db8::1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['[2001:db8::1]:4711', '2001:db8::1'],
    [`::ffff:${client}`, client],
    [`[::ffff:${client}]:80`, client],
    ['::FFFF:c633:6407', client],
    [`203.0.113.1,203.0.113.2,${client}`, client],
    [`203.0.113.1, ${client}, 10.8.0.9, fd42::9`, client],
    [`203.0.113.1, ${client}, ::ffff:10.8.0.9`, client],
    [`${'203.0.113.1, '.repeat(99)}${client}`, client],
    [`unknown, _x, ,,%%, ${client}`, client],
  ])('that says %j', (said, source) => {
    expect(sourceOf(proxy, said, proxies)).toBe(source);
  });

  it('that speaks IPv4 on an IPv6 socket, and tells such a client by its IPv4 address', () => {
    expect(sourceOf('::ffff:127.0.0.1', client, proxies)).toBe(client);
    expect(sourceOf('::ffff:203.0.113.9', client, proxies)).toBe('203.0.113.9');
  });

  const address = fc.oneof(
    fc.ipV4().filter((text) => !/^(127\.0\.0\.1|10\.8\.0\.\d+)$/.test(text)),
    fc
      .tuple(fc.integer({ min: 1, max: 0xffff }), fc.integer({ min: 1, max: 0xffff }))
      .map(([a, b]) => `2001:db8::${a.toString(16)}:${b.toString(16)}`),
  );
  const word = fc.oneof(
    fc.string(),
    fc.constantFrom(...proxies.map((one) => one.replace(/\/.*/, '')), client, 'unknown', ',', ', ', '[', '::'),
    fc.ipV4(),
    fc.ipV6(),
  );
  const anything = fc
    .array(word, { maxLength: 40 })
    .chain((words) => fc.constantFrom(',', ', ', ' ', '').map((between) => words.join(between)));

  it('no matter what the client itself put left of the proxy’s own entry', () => {
    fc.assert(
      fc.property(anything, address, fc.integer({ min: 0, max: 14 }), (written, from, hops) => {
        const said = [written, from, ...Array.from({ length: hops }, () => '10.8.0.9')];
        expect(sourceOf(proxy, said.join(', '), proxies)).toBe(from);
      }),
      { numRuns: 500 },
    );
  });

  it('and answers an address for everything that can be said', () => {
    fc.assert(
      fc.property(anything, (written) => {
        expect(sourceOf(proxy, written, proxies)).toMatch(/^[0-9a-f.:]+$/);
      }),
      { numRuns: 500 },
    );
  });
});

describe('createHttpApp() hears a request', () => {
  let server: Server;
  let port: number;
  let sources: string[];
  beforeEach(async () => {
    sources = [];
    const handler = async ({ source }: { source: string }) => {
      sources.push(source);
      return { status: 200, body: {} };
    };
    const app = createHttpApp({
      routes: [{ method: 'GET', path: '/', bodyLimit: 0, handler }],
      areas: [
        {
          prefix: '/inner',
          admits: ({ source }) => source === client,
          routes: [{ method: 'GET', path: '/inner/x', bodyLimit: 0, handler }],
        },
      ],
      log: createLog({ level: 'silent', destination: new PassThrough() }),
      requestId: () => 'one',
      trustedProxies: ['127.0.0.1/32'],
    });
    server = createServer(app);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    port = (server.address() as AddressInfo).port;
  });
  afterEach(() => new Promise((resolve) => server.close(resolve)));

  /** The status of a request from an address of this machine, with these header lines. */
  function ask(from: string, lines: readonly string[], path = '/'): Promise<number> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', localAddress: from });
      let answer = '';
      socket.on('data', (chunk) => {
        answer += chunk.toString();
      });
      socket.on('close', () => resolve(Number(answer.slice(9, 12))));
      socket.on('error', reject);
      socket.write([`GET ${path} HTTP/1.1`, 'Host: x', 'Connection: close', ...lines, '', ''].join('\r\n'));
    });
  }
  const said = (text: string): string => `X-Forwarded-For: ${text}`;

  it('that has the header twice not at all', async () => {
    expect(await ask('127.0.0.1', [said(client), said('203.0.113.1')])).toBe(400);
    expect(await ask('127.0.0.1', [said(client), `x-forwarded-FOR: ${client}`])).toBe(400);
    expect(sources).toEqual([]);
  });

  it('of a client that is no proxy by the address it connects from', async () => {
    expect(await ask('127.0.0.5', [said(client)])).toBe(200);
    expect(await ask('127.0.0.5', [said('127.0.0.1')])).toBe(200);
    expect(sources).toEqual(['127.0.0.5', '127.0.0.5']);
  });

  it('of a proxy by what it says, and by nothing else that it says', async () => {
    await ask('127.0.0.1', [said(`203.0.113.1, ${client}`), 'X-Real-IP: 203.0.113.2', 'Forwarded: for=203.0.113.3']);
    await ask('127.0.0.1', ['X-Real-IP: 203.0.113.2', 'Forwarded: for=203.0.113.3']);
    expect(sources).toEqual([client, '127.0.0.1']);
  });

  it('for an area that is not everybody’s by the same address', async () => {
    expect(await ask('127.0.0.5', [said(client)], '/inner/x')).toBe(404);
    expect(await ask('127.0.0.1', [said(`${client}, 203.0.113.1`)], '/inner/x')).toBe(404);
    expect(sources).toEqual([]);
    expect(await ask('127.0.0.1', [said(client)], '/inner/x')).toBe(200);
  });
});

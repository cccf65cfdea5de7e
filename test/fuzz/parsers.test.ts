import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseJournal } from '../../patcher/journal/journal-format.ts';
import { readCopyHeader } from '../../patcher/keys/owner-copy.ts';
import { lastJson } from '../../patcher/occ.ts';
import { parseFpmPools } from '../../patcher/targets/fpm-pool.ts';
import { appVersionIn } from '../../patcher/targets/info-xml.ts';
import { parsePhpInfo } from '../../patcher/targets/php-runtime.ts';
import { parseVersionFile } from '../../patcher/targets/version-file.ts';
import { parseApache, parseNginx } from '../../patcher/targets/web-server.ts';
import { judgeHostKey, parseKnownHosts } from '../../patcher/transports/known-hosts.ts';
import { parseList, parseStat } from '../../patcher/transports/script-answers.ts';
import { parseSshTarget } from '../../patcher/transports/ssh-target.ts';
import { readSignedList } from '../../patcher/vendor/vendor-signature.ts';
import { decodeBase64, decodeBase64Url, parseInteger } from '../../platform/encoding.ts';
import { isLatchkeyError } from '../../platform/errors.ts';
import { hostSchema } from '../../platform/listening/host-name.ts';
import { isNetwork, parseNetworks } from '../../platform/listening/networks.ts';
import { parseInput } from '../../platform/schema.ts';
import { totpSecretBytes, totpSecretText } from '../../platform/totp.ts';

const runs = { numRuns: 1000 };

/** Text that looks like what each parser reads, cut up and mixed, beside text of any kind. */
const fragments = [
  ...['<?php\n', '$OC_Version = array(33,0,1,2);', "$OC_VersionString = '33.0.1';", '$vendor = ', '];', '/* ', ' */'],
  ...['|1|', 'c2FsdA==', 'ssh-ed25519 ', 'AAAAC3NzaC1lZDI1NTE5AAAAI', '@revoked ', '[host]:22', ',', '!', '*'],
  ...[
    '<VirtualHost *:80>',
    'DocumentRoot "',
    '</VirtualHost>',
    'server {',
    'root /var/www;',
    '}',
    'include x;',
    '"',
    "'",
  ],
  ...['[www]', 'listen = 127.0.0.1:9000', 'env[A] = b', ';', '#', '\\', '=', '\n', '\r\n', '\t', '\0'],
  ...[
    '{"seq":1}',
    '{"version":1,',
    '"keys":',
    '[]',
    'null',
    '1e999',
    '<version>1.0.0</version>',
    '<!--',
    '-->',
    '10.0.0.0/8',
  ],
  ...['root@', 'host', ':22', '::1', '[', ']', '-oProxyCommand=x', '%', 'é', '\u202e', 'canary'],
];
const anyText = fc.oneof(
  { weight: 3, arbitrary: fc.array(fc.constantFrom(...fragments), { maxLength: 25 }).map((parts) => parts.join('')) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 200 }) },
);

/** Runs a parser: it answers, or refuses in its own words, which never carry what it read. */
function answers(parse: (text: string) => unknown, text: string): void {
  try {
    parse(text);
  } catch (error) {
    expect(isLatchkeyError(error), `threw ${String(error)}`).toBe(true);
    if (text.includes('canary')) expect((error as Error).message).not.toContain('canary');
  }
}

const parsers: readonly (readonly [name: string, parse: (text: string) => unknown])[] = [
  ['parseVersionFile()', parseVersionFile],
  ['parseKnownHosts()', parseKnownHosts],
  ['judgeHostKey() on any file', (text) => judgeHostKey(parseKnownHosts(text), 'host', 22, Buffer.from('key'))],
  ['parseSshTarget()', parseSshTarget],
  ['parseApache()', (text) => parseApache('/etc/apache2/x.conf', text)],
  ['parseNginx()', (text) => parseNginx('/etc/nginx/x.conf', text)],
  ['parseFpmPools()', (text) => parseFpmPools('/etc/php/8.2/fpm/pool.d/x.conf', text)],
  ['parsePhpInfo()', parsePhpInfo],
  ['appVersionIn()', appVersionIn],
  ['parseJournal()', parseJournal],
  ['parseStat()', parseStat],
  ['parseList()', (text) => parseList(Buffer.from(text))],
  ['lastJson()', lastJson],
  ['readCopyHeader()', readCopyHeader],
  ['readSignedList()', (text) => readSignedList(text, { id: 'core', rootCrt: text, now: new Date(0) })],
  [
    'readSignedList() on certificates of any kind',
    (text) => {
      const list = JSON.stringify({ hashes: {}, signature: 'AAAA', certificate: text });
      return readSignedList(list, { id: 'core', rootCrt: text, now: new Date(0) });
    },
  ],
  ['parseNetworks()', (text) => parseNetworks([text], '--from')],
  ['hostSchema', (text) => parseInput(hostSchema, text)],
  ['parseInteger()', (text) => parseInteger(text, '--lines', { min: 1, max: 10 })],
  ['decodeBase64Url()', (text) => decodeBase64Url(text)],
  ['decodeBase64()', (text) => decodeBase64(text, { max: 1000 })],
];

describe('whatever is read from outside', () => {
  test.each(parsers)('%s answers or refuses, and never breaks', (_, parse) => {
    fc.assert(
      fc.property(anyText, (text) => answers(parse, text)),
      runs,
    );
  });
});

describe('what is accepted has one meaning', () => {
  test('a target that is accepted names a host that is no option and holds no white space', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        try {
          const { user, host, port } = parseSshTarget(text);
          expect(host).toMatch(/^[^-\s@][^\s@]*$/);
          expect(user ?? 'x').toMatch(/^[^-\s@][^\s@]*$/);
          expect(port > 0 && port < 65_536).toBe(true);
        } catch (error) {
          expect(isLatchkeyError(error)).toBe(true);
        }
      }),
      runs,
    );
  });

  test('a network is accepted in the form it is stored in', () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.integer({ min: 0, max: 32 }), (address, bits) => {
        const text = `${address}/${bits}`;
        if (!isNetwork(text)) return;
        const [stored = ''] = parseNetworks([text], '--from');
        expect(parseNetworks([stored], '--from')).toEqual([stored]);
      }),
      runs,
    );
  });

  test('a TOTP secret comes back from its text', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 64 }), (secret) => {
        expect(totpSecretBytes(totpSecretText(secret))).toEqual(Buffer.from(secret));
      }),
    );
  });
});

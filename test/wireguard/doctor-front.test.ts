import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { selfSigned } from '../../platform/certificates/self-signed.ts';
import { systemRandom } from '../../platform/clock.ts';
import { privateKeyPem } from '../../platform/listening/identity.ts';
import { hubConfig } from '../../wireguard/data/hub-config.ts';
import { examine } from '../../wireguard/doctor/examine.ts';
import { isTrouble } from '../../wireguard/doctor/finding.ts';
import { type FrontLook, frontFindings } from '../../wireguard/doctor/front-findings.ts';
import { lookAtFront } from '../../wireguard/doctor/front-look.ts';
import { makeOwnCertificate, ownCertificateFile } from '../../wireguard/front/own-certificate.ts';
import { COMMAND } from '../../wireguard/hub/actor.ts';
import { type MadeHub, makeHub } from './made-hub.ts';

const NOW = Date.UTC(2026, 0, 31);
const DAY = 86_400_000;
const FILES = { source: 'files', hosts: ['hub.example'], until: NOW + 60 * DAY, isForUrl: true } as const;
const LOOK: FrontLook = {
  ...{ now: NOW, directory: '/srv/hub', publicUrl: 'https://hub.example', proxies: [] },
  certificate: FILES,
};

describe('frontFindings()', () => {
  test.each([
    [
      'a certificate that is broken',
      { certificate: { source: 'files', message: 'no', hint: 'mend it' } },
      'certificate',
      'fault',
      /mend it/,
    ],
    ['a certificate that ended', { certificate: { ...FILES, until: NOW } }, 'certificate', 'fault', /certbot/],
    [
      'a certificate that ends',
      { certificate: { ...FILES, until: NOW + 14 * DAY - 1 } },
      'certificate',
      'warn',
      /certbot/,
    ],
    [
      'its own that ends',
      { certificate: { ...FILES, source: 'own', until: NOW + DAY } },
      'certificate',
      'warn',
      /wghub tls make --data \/srv\/hub/,
    ],
    [
      'a certificate of another name',
      { certificate: { ...FILES, isForUrl: false } },
      'certificate',
      'fault',
      /name that spokes call/,
    ],
    [
      'a public URL without TLS',
      { publicUrl: 'http://hub.example', certificate: null },
      'public URL',
      'fault',
      /wghub tls make/,
    ],
    ['a web server that is not believed', { certificate: null }, 'proxies', 'warn', /"proxies": \["127.0.0.1\/32"\]/],
  ] as [string, Partial<FrontLook>, string, string, RegExp][])('finds %s', (_, change, check, verdict, fix) => {
    const found = frontFindings({ ...LOOK, ...change }).filter(isTrouble);
    expect(found).toMatchObject([{ check, verdict, why: expect.stringMatching(/./), fix: expect.stringMatching(fix) }]);
  });

  test.each([
    ['TLS of its own', {}, ['certificate', 'public URL']],
    ['two weeks to go', { certificate: { ...FILES, until: NOW + 14 * DAY } }, ['certificate', 'public URL']],
    [
      'its own for another name, which installers do not go by',
      { certificate: { ...FILES, source: 'own', isForUrl: false } },
      ['certificate', 'public URL'],
    ],
    ['a web server that is believed', { certificate: null, proxies: ['127.0.0.1/32'] }, ['public URL']],
    ['a hub for this machine', { certificate: null, publicUrl: 'http://127.0.0.1:8090' }, ['public URL']],
    ['a hub that nobody calls from outside', { certificate: null, publicUrl: null }, []],
  ] as [string, Partial<FrontLook>, string[]][])('finds nothing wrong with %s', (_, change, checks) => {
    const found = frontFindings({ ...LOOK, ...change });
    expect([found.map(({ check }) => check), found.filter(isTrouble)]).toEqual([checks, []]);
  });
});

describe('lookAtFront()', () => {
  let made: MadeHub;
  beforeAll(async () => {
    made = await makeHub();
  });
  afterAll(() => made.remove());

  const look = (tls: object | null, publicUrl: string | null) => {
    const listen = { host: '127.0.0.1', port: 0 };
    const config = hubConfig({ version: 1, name: 'hub', listen, driver: 'memory', tls: tls as null, publicUrl });
    return lookAtFront({ ...made.data, config }, NOW);
  };

  test('sees what is in the way of a certificate', async () => {
    const gone = { source: 'files', certificate: made.at('none'), key: made.at('none') };
    expect(look(gone, null).certificate).toMatchObject({ message: expect.stringContaining('could not be read') });
    expect(look({ source: 'own' }, null).certificate).toMatchObject({
      hint: expect.stringContaining('wghub tls make'),
    });
  });

  test('sees whom a certificate of files is for', async () => {
    const order = { hosts: ['hub.example', '192.0.2.1'], days: 90, now: NOW, privateKey: null };
    const { certificate, privateKey } = await selfSigned(order, systemRandom);
    const files = { certificate: made.at('a.crt'), key: made.at('a.key') };
    writeFileSync(files.certificate, certificate);
    writeFileSync(files.key, privateKeyPem(privateKey), { mode: 0o600 });
    const isForUrl = (url: string) => (look({ source: 'files', ...files }, url).certificate as typeof FILES).isForUrl;
    expect(
      ['https://hub.example:8443/x', 'https://192.0.2.1', 'https://a.hub.example', 'https://192.0.2.2'].map(isForUrl),
    ).toEqual([true, true, false, false]);
    expect(look({ source: 'files', ...files }, null).certificate).toMatchObject({ until: NOW + 90 * DAY });
  });

  test('takes its certificate in the data directory for what it is: public', async () => {
    const { store, directory } = made.data;
    const order = { hosts: ['hub.example'], newKey: false, by: COMMAND, now: Date.now() };
    await makeOwnCertificate({ directory, store, vault: made.vault }, order, systemRandom);
    const config = { ...made.data.config, tls: { source: 'own', oldest: '1.2' } as const };
    const parts = { now: Date.now(), env: {}, unseal: { keyfile: made.keyfile } };
    const found = await examine({ ...made.data, config }, made.vault, parts);
    const verdicts = found.filter(({ check }) => ['data directory', 'certificate'].includes(check));
    expect(verdicts.map(({ verdict }) => verdict)).toEqual(['ok', 'ok']);
    writeFileSync(join(directory, 'stray'), '', { mode: 0o644 });
    const again = await examine({ ...made.data, config }, made.vault, parts);
    expect(again.find(({ check }) => check === 'data directory')?.found).toContain('others may read stray');
    rmSync(ownCertificateFile(directory));
  });
});

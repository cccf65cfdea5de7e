import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Config, newConfig, readConfig, writeConfig } from '../../keyserver/config.ts';
import { openDataDirectory } from '../../keyserver/data-directory.ts';
import { createDataDirectory } from '../../platform/data-directory.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-config-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const config = newConfig({ host: '10.8.0.1', port: 8443 }, ['keys.example'], 'tls');

describe('readConfig()', () => {
  it.each<[string, string]>([
    ['text that is not JSON', '{'],
    ['a list', '[]'],
    ['an unknown member', JSON.stringify({ ...config, admin: true })],
    ['a later version', JSON.stringify({ ...config, version: 2 })],
    ['a name to listen on', JSON.stringify({ ...config, listen: { host: 'keys.example', port: 8443 } })],
    ['port 0', JSON.stringify({ ...config, listen: { host: '10.8.0.1', port: 0 } })],
    ['a port as text', JSON.stringify({ ...config, listen: { host: '10.8.0.1', port: '8443' } })],
    ['no hosts', JSON.stringify({ ...config, hosts: [] })],
    ['a host with a slash', JSON.stringify({ ...config, hosts: ['keys/example'] })],
    ['a URL with a path', JSON.stringify({ ...config, url: 'https://10.8.0.1:8443/x' })],
    ['a transport of its own', JSON.stringify({ ...config, transport: 'http' })],
    [
      'metrics for a network with host bits',
      JSON.stringify({ ...config, metrics: { from: ['10.8.0.1/24'], tokenHash: null } }),
    ],
  ])('refuses %s', (_, text) => {
    writeFileSync(join(folder, 'config.json'), text);
    expect(() => readConfig(folder)).toThrow(expect.objectContaining({ code: 'config_damaged' }));
  });
  it('refuses a file that is not there', () => {
    expect(() => readConfig(folder)).toThrow(expect.objectContaining({ code: 'config_damaged' }));
  });
  it('reads back what was written', () => {
    writeConfig(folder, config);
    expect(readConfig(folder)).toEqual(config);
  });
});

describe('newConfig()', () => {
  it('puts the wished host into the URL and the listen address into the certificate too', () => {
    expect(config).toMatchObject({ url: 'https://keys.example:8443', hosts: ['keys.example', '10.8.0.1'] });
  });
  it.each<[string, string, Config['transport'], string]>([
    ['127.0.0.1', 'https://127.0.0.1:1', 'tls', 'localhost'],
    ['::1', 'https://[::1]:1', 'tls', 'localhost'],
    ['10.8.0.1', 'http://10.8.0.1:1', 'plain-http', '10.8.0.1'],
  ])('knows %s as %s', (host, url, transport, last) => {
    const made = newConfig({ host, port: 1 }, [], transport);
    expect(made.url).toBe(url);
    expect(made.hosts.at(-1)).toBe(last);
  });
  it.each(['', 'a b', '-x', 'keys.', '1.2.3', 'a'.repeat(254)])('refuses the host %j', (host) => {
    expect(() => newConfig({ host: '10.8.0.1', port: 1 }, [host], 'tls')).toThrow(
      expect.objectContaining({ code: 'invalid_request' }),
    );
  });
});

describe('createDataDirectory()', () => {
  it.each([
    ['holds a file', (path: string) => writeFileSync(join(path, 'old'), ''), 'data_exists'],
    ['others may enter', (path: string) => chmodSync(path, 0o711), 'data_too_open'],
  ])('refuses a folder that %s', (_, spoil, code) => {
    const path = join(folder, 'data');
    mkdirSync(path, { mode: 0o700 });
    spoil(path);
    const before = readdirSync(path);
    expect(() => createDataDirectory(path)).toThrow(expect.objectContaining({ code, exit: 3 }));
    expect(readdirSync(path)).toEqual(before);
  });
  it('refuses a link to a folder', () => {
    mkdirSync(join(folder, 'elsewhere'), { mode: 0o700 });
    symlinkSync(join(folder, 'elsewhere'), join(folder, 'data'));
    expect(() => createDataDirectory(join(folder, 'data'))).toThrow(expect.objectContaining({ exit: 3 }));
  });
  it('makes no parents', () => {
    expect(() => createDataDirectory(join(folder, 'a', 'b'))).toThrow(
      expect.objectContaining({ code: 'data_not_created' }),
    );
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('openDataDirectory()', () => {
  it('refuses a folder without a server, and makes none', () => {
    expect(() => openDataDirectory(join(folder, 'none'))).toThrow(expect.objectContaining({ code: 'data_missing' }));
    expect(() => openDataDirectory(folder)).toThrow(expect.objectContaining({ code: 'data_missing' }));
    expect(readdirSync(folder)).toEqual([]);
  });
  it('refuses a server that others may enter', () => {
    for (const name of ['config.json', 'vault.json']) writeFileSync(join(folder, name), '{}');
    chmodSync(folder, 0o755);
    expect(() => openDataDirectory(folder)).toThrow(expect.objectContaining({ code: 'data_too_open', exit: 3 }));
  });
});

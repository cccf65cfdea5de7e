import { describe, expect, it } from 'vitest';
import { type PackageSystem, preparePackages } from './packages.ts';

function system(missing: string[], options: Partial<PackageSystem> & { readonly installs?: string[] } = {}) {
  const asked: string[][] = [];
  const lacking = new Set(missing);
  const made: PackageSystem = {
    apt: true,
    root: true,
    missing: async () => [...lacking],
    install: async (names) => {
      asked.push([...names]);
      for (const name of options.installs ?? names) lacking.delete(name);
    },
    ...options,
  };
  return { made, asked };
}

describe('preparePackages()', () => {
  it('installs nothing without root, and says what is missing', async () => {
    const { made, asked } = system(['php-cli', 'nftables'], { root: false });
    const report = await preparePackages(() => undefined, made);
    expect(asked).toEqual([]);
    expect(report).toMatchObject({ installed: [], missing: ['php-cli', 'nftables'] });
    expect(report.words).toContain('php-cli, nftables');
  });

  it('installs nothing on a system without apt', async () => {
    const { made, asked } = system(['wg'], { apt: false });
    expect((await preparePackages(() => undefined, made)).words).toContain('install them by hand');
    expect(asked).toEqual([]);
  });

  it('does not fail when apt does, and tells which packages are still missing', async () => {
    const { made } = system(['php-cli'], { install: () => Promise.reject(new Error('no network')) });
    const report = await preparePackages(() => undefined, made);
    expect(report).toMatchObject({ installed: [], missing: ['php-cli'] });
    expect(report.words).toContain('apt-get failed');
  });

  it('tells apart what could be installed and what could not', async () => {
    const { made } = system(['php-cli', 'wireguard-go'], { installs: ['php-cli'] });
    expect(await preparePackages(() => undefined, made)).toMatchObject({
      installed: ['php-cli'],
      missing: ['wireguard-go'],
    });
  });

  it('asks for the missing packages only, once, and says so before', async () => {
    const { made, asked } = system(['php-apcu']);
    const said: string[] = [];
    const report = await preparePackages((line) => void said.push(line), made);
    expect(asked).toEqual([['php-apcu']]);
    expect(said).toEqual(['installing php-apcu']);
    expect(report.words).toBeNull();
  });

  it('is silent when nothing is missing', async () => {
    const { made, asked } = system([]);
    const said: string[] = [];
    expect(await preparePackages((line) => void said.push(line), made)).toEqual({
      installed: [],
      missing: [],
      words: null,
    });
    expect([asked, said]).toEqual([[], []]);
  });
});

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addServiceCommands } from '../../keyserver/commands/service.ts';
import { type ServiceFacts, serverNodeOptions, serviceText } from '../../keyserver/service.ts';
import { run } from '../../platform/run.ts';
import { hasProgram } from '../harness/programs.ts';
import { runCommand } from './command-runner.ts';

const facts: ServiceFacts = {
  node: '/opt/latchkey/node',
  root: '/opt/latchkey',
  data: '/var/lib/latchkey',
  user: 'latchkey',
  unseal: ['--keyfile', '/media/key'],
  credential: null,
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-service-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A folder whose name is what unit files trip over, with a Node in it. */
function awkward(): ServiceFacts {
  const root = join(folder, 'a b %n $HOME é');
  mkdirSync(root, { recursive: true });
  if (!existsSync(join(root, 'node'))) symlinkSync(process.execPath, join(root, 'node'));
  return { ...facts, node: join(root, 'node'), root, data: join(root, `"data" 'of' \\x`), user: 'root' };
}

describe('serviceText()', () => {
  it('bounds memory as the launcher does', () => {
    const launcher = readFileSync(join(import.meta.dirname, '../../platform/launch.mjs'), 'utf8');
    for (const option of [...serverNodeOptions, 'MALLOC_ARENA_MAX']) {
      expect(launcher).toContain(option);
      expect(serviceText('linux', facts)).toContain(option);
    }
    const own = /'keyserver\/main\.ts': \[([^\]]+)\]/.exec(launcher)?.[1];
    expect(own?.match(/--max-[a-z-]+=/g)).toEqual(serverNodeOptions.join().match(/--max-[a-z-]+=/g));
  });

  it.each(['linux', 'macos', 'windows'] as const)('refuses a path with a line break for %s', (platform) => {
    expect(() => serviceText(platform, { ...facts, data: '/a\nUser=root' })).toThrow(
      expect.objectContaining({ code: 'invalid_request', exit: 2 }),
    );
  });
  it('refuses a program that systemd would not start', () => {
    expect(() => serviceText('linux', { ...facts, node: '/opt/"latchkey"/node' })).toThrow('quotes or a backslash');
  });
  it('refuses a percent sign where Windows would expand it', () => {
    expect(() => serviceText('windows', { ...facts, data: 'C:\\%TEMP%' })).toThrow('percent sign');
  });
});

describe('keyserver service print', () => {
  const print = (...argv: string[]) =>
    runCommand(addServiceCommands, ['service', 'print', '--data', '/var/lib/k', ...argv]);
  it.each([
    ['nothing to open the vault by', [], 'nobody to ask'],
    ['shares, which people bring', ['--share-file', 'a', '--platform', 'linux'], 'nobody to ask'],
    ['two ways', ['--keyfile', 'a', '--keychain', 'b'], 'only one'],
    ['a credential on macOS', ['--credential', 'v', '--platform', 'macos'], 'credentials are systemd’s'],
    ['a system nobody knows', ['--keyfile', 'a', '--platform', 'beos'], 'Allowed choices'],
    ['an account that is none', ['--keyfile', 'a', '--user', 'x\nUser=root'], '"--user"'],
  ])('refuses %s', async (_, argv, words) => {
    const said = await print(...argv);
    expect(said).toMatchObject({ exit: 2, stdout: '' });
    expect(said.stderr).toContain(words);
  });
  it('names the credential and how it is made', async () => {
    const said = await print('--platform', 'linux', '--credential', 'vault');
    expect(said.exit).toBe(0);
    expect(said.stdout).toContain('\nLoadCredentialEncrypted=vault:/etc/latchkey/vault.cred\n');
    expect(said.stdout).toContain('"start" "--data" "/var/lib/k" "--credential" "vault"\n');
    expect(said.stderr).toContain('systemd-creds encrypt --name=vault - /etc/latchkey/vault.cred');
  });
});

describe.skipIf(!hasProgram('systemd-analyze'))('the systemd unit', () => {
  const analyze = (...argv: string[]) =>
    run(['systemd-analyze', ...argv], { timeoutMs: 30_000, allowExit: 'any', env: { SYSTEMD_LOG_LEVEL: 'info' } });
  const unit = (name: string, text: string) => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };
  /** What `verify` says of this unit; others of the machine may have their own troubles. */
  const complaints = async (name: string, text: string) => {
    const said = await analyze('verify', '--recursive-errors=no', unit(name, text));
    return said.stderr.split('\n').filter((line) => line.includes(name) || line.includes('is not executable'));
  };

  it('is complained about when a word of it is wrong', async () => {
    const text = serviceText('linux', awkward());
    expect(await complaints('wrong.service', text.replace('ProtectClock=yes', 'ProtectClok=yes'))).not.toEqual([]);
    expect(await complaints('gone.service', text.replace('/node"', '/nodes"'))).not.toEqual([]);
  });
  it('is good, whatever the folders are called', async () => {
    expect(await complaints('good.service', serviceText('linux', awkward()))).toEqual([]);
  });
  it('leaves little to get at: 1.5 or less of 10 by systemd’s own measure', async () => {
    const path = unit('measured.service', serviceText('linux', facts));
    const said = await analyze('security', '--offline=yes', '--no-pager', path);
    const level = Number(/Overall exposure level for measured\.service: ([0-9.]+)/.exec(said.stdout.toString())?.[1]);
    expect(level).toBeLessThanOrEqual(1.5);
  });
});

const python = hasProgram('python3');

describe.skipIf(!python)('the service files for macOS and Windows', () => {
  const parsed = async (program: string, text: string) => {
    const said = await run(['python3', '-c', program], { input: text, timeoutMs: 30_000 });
    return JSON.parse(said.stdout.toString()) as Record<string, unknown>;
  };
  const odd = { ...facts, root: '/Users/me/a <b> & "c" é', data: '/Users/me/]]> data', user: 'me' };

  it('are a property list that says what was meant', async () => {
    const plist = await parsed(
      'import plistlib,json,sys; print(json.dumps(plistlib.loads(sys.stdin.buffer.read())))',
      serviceText('macos', odd),
    );
    expect(plist).toMatchObject({ WorkingDirectory: odd.root, UserName: 'me', RunAtLoad: true, Umask: 0o077 });
    const words = plist.ProgramArguments as string[];
    expect(words[0]).toBe(odd.node);
    expect(words.slice(-6)).toEqual([
      `${odd.root}/keyserver/main.ts`,
      'start',
      '--data',
      odd.data,
      '--keyfile',
      '/media/key',
    ]);
  });
  it('are XML whose command line comes apart again as Windows takes it', async () => {
    const windows = { ...odd, root: 'C:\\Program Files\\Latch & Key', data: 'D:\\data dir\\', node: 'C:\\n.exe' };
    const service = await parsed(
      'import xml.etree.ElementTree as e,json,sys; print(json.dumps({x.tag: x.text for x in e.fromstring(sys.stdin.read())}))',
      serviceText('windows', windows),
    );
    expect(service).toMatchObject({ executable: windows.node, workingdirectory: windows.root });
    expect(windowsArguments(String(service.arguments)).slice(-6)).toEqual([
      `${windows.root}\\keyserver\\main.ts`,
      'start',
      '--data',
      windows.data,
      '--keyfile',
      '/media/key',
    ]);
  });
});

/** A command line as Microsoft's documentation of CommandLineToArgvW has it taken apart, written here once more. */
function windowsArguments(line: string): string[] {
  const words: string[] = [];
  let word = '';
  let inQuotes = false;
  for (let at = 0; at < line.length; at++) {
    const slashes = /^\\+/.exec(line.slice(at))?.[0].length ?? 0;
    if (slashes > 0 && line[at + slashes] === '"') {
      word += '\\'.repeat(Math.floor(slashes / 2));
      at += slashes;
      if (slashes % 2 === 1) word += '"';
      else inQuotes = !inQuotes;
    } else if (line[at] === '"') inQuotes = !inQuotes;
    else if (line[at] === ' ' && !inQuotes) {
      words.push(word);
      word = '';
    } else word += line[at];
  }
  return [...words, word];
}

describe('a Windows command line', () => {
  it('keeps every path whole', () => {
    const path = fc.string({ unit: fc.constantFrom('a', ' ', '\\', '"'), minLength: 1 });
    fc.assert(
      fc.property(path, (data) => {
        const text = serviceText('windows', { ...facts, data });
        const line = (/<arguments>(.*)<\/arguments>/.exec(text)?.[1] ?? '').replaceAll('&quot;', '"');
        expect(windowsArguments(line).at(-3)).toBe(data);
      }),
    );
  });
});

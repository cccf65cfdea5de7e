import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addServiceCommands } from '../../keyserver/commands/service.ts';
import { openFiles } from '../../keyserver/data-directory.ts';
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
  distribution: 'Ubuntu',
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
  it.each(['', '-x', 'Ubuntu 24.04', 'a"b', '%TEMP%', 'a&b', 'x'.repeat(65)])(
    'refuses the distribution %j',
    (distribution) => {
      expect(() => serviceText('windows', { ...facts, distribution })).toThrow(
        expect.objectContaining({ code: 'invalid_request', exit: 2, field: '--distribution' }),
      );
    },
  );
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
  it('prints a task for Windows without a word of how the vault is opened, which is told within', async () => {
    const said = await print('--platform', 'windows', '--distribution', 'Debian');
    expect(said.exit).toBe(0);
    expect(said.stdout).toContain('--distribution Debian --exec');
    expect(said.stderr).toContain('schtasks /create');
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
  it('are a property list of keys that launchd knows, each with a value of its kind', async () => {
    const kinds = {
      Label: 'str',
      ProgramArguments: 'list',
      WorkingDirectory: 'str',
      UserName: 'str',
      Umask: 'int',
      RunAtLoad: 'bool',
      KeepAlive: 'bool',
      ThrottleInterval: 'int',
      ExitTimeOut: 'int',
      HardResourceLimits: 'dict',
      StandardErrorPath: 'str',
    };
    const found = await parsed(
      'import plistlib,json,sys; print(json.dumps({k: type(v).__name__ for k, v in plistlib.loads(sys.stdin.buffer.read()).items()}))',
      serviceText('macos', odd),
    );
    expect(found).toEqual(kinds);
  });
  it('write the log where the account may, which is not a fault of the data directory then', () => {
    expect(serviceText('macos', facts)).toContain('<string>/var/lib/latchkey/keyserver.log</string>');
    const directory = mkdtempSync(join(folder, 'logged-'));
    for (const name of ['keyserver.log', 'keyserver.db']) writeFileSync(join(directory, name), '', { mode: 0o644 });
    expect(openFiles(directory)).toEqual(['keyserver.db']);
  });
  it('are a task that starts the distribution at boot, has no end and is started again', async () => {
    const text = serviceText('windows', facts);
    expect(text).toMatch(/^<Task [ -~\n]*<\/Task>\n$/);
    const space = '{http://schemas.microsoft.com/windows/2004/02/mit/task}';
    const task = await parsed(
      `import xml.etree.ElementTree as e,json,sys
root = e.fromstring(sys.stdin.read())
print(json.dumps({x.tag: x.text for x in root.iter() if not len(x)} | {'top': [x.tag for x in root], 'actions': root.find('${space}Actions').get('Context'), 'principal': root.find('.//${space}Principal').get('id')}))`,
      text,
    );
    expect(task).toMatchObject({
      top: ['RegistrationInfo', 'Triggers', 'Principals', 'Settings', 'Actions'].map((name) => space + name),
      [`${space}Command`]: '%ProgramFiles%\\WSL\\wsl.exe',
      [`${space}Arguments`]: '--distribution Ubuntu --exec /usr/bin/sleep infinity',
      [`${space}ExecutionTimeLimit`]: 'PT0S',
      [`${space}DisallowStartIfOnBatteries`]: 'false',
      [`${space}LogonType`]: 'Password',
      [`${space}RunLevel`]: 'LeastPrivilege',
    });
    expect(task.actions).toBe(task.principal);
  });
});

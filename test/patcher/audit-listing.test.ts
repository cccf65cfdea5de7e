import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { listTree } from '../../patcher/audit/list-tree.ts';
import { parseListing } from '../../patcher/audit/listing-fields.ts';
import { type ListingProgress, ListingStream } from '../../patcher/audit/listing-stream.ts';
import { readSettings } from '../../patcher/audit/settings-look.ts';
import { openLocalTransport } from '../../patcher/transports/local-transport.ts';
import type { Exec } from '../../patcher/transports/shell-transport.ts';
import { loginToTarget } from '../../patcher/transports/target-login.ts';
import type { Transport } from '../../patcher/transports/transport.ts';
import { run } from '../../platform/run.ts';
import { isRoot } from '../harness/nextcloud-files.ts';
import { findProgram } from '../harness/programs.ts';

const sha512 = (content: string): string => createHash('sha512').update(content).digest('hex');
let folder: string;
let transport: Transport;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-audit-'));
  chmodSync(folder, 0o755);
  transport = await openLocalTransport({ prompter: null });
});
afterEach(async () => {
  await transport.close();
  rmSync(folder, { recursive: true, force: true });
});

function put(path: string, content: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), content);
}

/** This machine as one that has busybox and nothing else. */
function overBusybox(busybox: string): Promise<Transport> {
  const programs = mkdtempSync(join(tmpdir(), 'latchkey-busybox-'));
  onTestFinished(() => rmSync(programs, { recursive: true }));
  for (const name of ['sh', 'id', 'find', 'sha512sum', 'readlink', 'tr', 'cat'])
    symlinkSync(busybox, join(programs, name));
  const exec: Exec = ([program, ...rest], options) =>
    run([join(programs, program), ...rest], { ...options, allowExit: 'any', env: { PATH: programs } });
  return loginToTarget({ label: 'busybox', exec, sudo: false, prompter: null, close: async () => undefined });
}

describe('listTree()', () => {
  it('refuses a folder in which something may not be looked at', { skip: !isRoot() }, async () => {
    put('open/a.php', 'a');
    put('shut/b.php', 'b');
    chmodSync(join(folder, 'shut'), 0o700);
    const exec: Exec = (argv, options) =>
      run(['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--', ...argv], {
        ...options,
        allowExit: 'any',
      });
    const nobody = await loginToTarget({
      label: 'nobody',
      exec,
      sudo: false,
      prompter: null,
      close: async () => undefined,
    });
    await expect(listTree(nobody, folder)).rejects.toMatchObject({ code: 'audit_incomplete', exit: 3 });
    chmodSync(join(folder, 'shut'), 0o755);
    chmodSync(join(folder, 'shut/b.php'), 0o600);
    expect((await listTree(nobody, folder))?.files).toEqual(
      new Map([
        ['open/a.php', sha512('a')],
        ['shut/b.php', ''],
      ]),
    );
  });

  it('does not take the content of a file for an answer of the tools', async () => {
    put('lib/base.php', 'evil');
    put('core/signature.json', `{}\0H${sha512('good')}  ./lib/base.php\n\0E0\0`);
    const listing = await listTree(transport, folder);
    expect(listing?.files.get('lib/base.php')).toBe(sha512('evil'));
    expect(listing?.texts.get('core/signature.json')?.toString()).toBe(`{}H${sha512('good')}  ./lib/base.php\nE0`);
  });

  it.for(['the tools of this machine', 'busybox'] as const)(
    'hashes files of any name, by %s',
    async (tools, { skip }) => {
      const busybox = findProgram('busybox');
      if (tools === 'busybox' && busybox === null) skip('busybox is not installed');
      const names = [
        'plain.php',
        'two words/and more.php',
        'line\nbreak/a\n.php',
        `q\n${sha512('y')}  ./forged.php`,
        'back\\slash.php',
        'car\rriage.php',
        'quote\'".php',
        '-n',
        '*',
        'Straße/ünï.php',
      ];
      for (const name of names) put(name, `content of ${name}`);
      const there = tools === 'busybox' ? await overBusybox(busybox ?? '') : transport;
      const listing = await listTree(there, folder);
      expect(listing?.files).toEqual(new Map(names.map((name) => [name, sha512(`content of ${name}`)])));
    },
  );

  it('tells links by where they lead, and everything that is no file', async () => {
    symlinkSync('/etc/passwd', join(folder, 'a\nlink'));
    symlinkSync('nowhere', join(folder, 'broken'));
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    expect(await listTree(transport, folder)).toEqual({
      files: new Map(),
      links: new Map([
        ['a\nlink', '/etc/passwd'],
        ['broken', 'nowhere'],
      ]),
      others: ['pipe'],
      texts: new Map(),
    });
  });

  it('leaves out the folders it is told, and no other that looks like them', async () => {
    for (const path of ['data/x.php', 'da*ta/x.php', 'lib/data/x.php', 'database/x.php']) put(path, '');
    const listing = await listTree(transport, folder, { leaveOut: ['data'] });
    expect([...(listing?.files.keys() ?? [])].sort()).toEqual(['da*ta/x.php', 'database/x.php', 'lib/data/x.php']);
    const other = await listTree(transport, folder, { leaveOut: ['da*ta'] });
    expect(other?.files.has('data/x.php')).toBe(true);
  });

  it('looks into two levels only where people keep their files, and only at what could be run', async () => {
    for (const path of ['x.PHP', 'admin/y.phtml', 'admin/files/mine.php', '.htaccess', 'nextcloud.log']) put(path, '');
    const listing = await listTree(transport, folder, { onlyUpperCode: true });
    expect([...(listing?.files.keys() ?? [])].sort()).toEqual(['.htaccess', 'admin/y.phtml', 'x.PHP']);
  });

  it('answers null for a folder that is not there, or that holds no apps', async () => {
    put('x.php', '');
    expect(await listTree(transport, join(folder, 'none'))).toBeNull();
    expect(await listTree(transport, folder, { onlyApps: true })).toBeNull();
  });
});

describe('parseListing()', () => {
  it('refuses an answer that is cut short or holds anything unexpected', () => {
    for (const text of [
      '',
      'H\0',
      'Hnothing\n\0E0\0',
      'E0\0E0\0',
      'E0\0more\0',
      'E\0',
      'N-1\0E0\0',
      'L./a\0',
      'Z\0E0\0',
      `H${sha512('')}  /abs\n\0E0\0`,
      'E0',
    ]) {
      expect(() => parseListing(Buffer.from(text)), JSON.stringify(text)).toThrow('not understood');
    }
  });

  it('never breaks otherwise, whatever the answer', () => {
    fc.assert(
      fc.property(fc.uint8Array({ max: 200 }), (bytes) => {
        try {
          parseListing(Buffer.from(bytes));
        } catch (error) {
          expect(error).toMatchObject({ code: 'target_answer' });
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('ListingStream', () => {
  const listing = Buffer.from(`N1\0N2\0H${'a'.repeat(128)}  ./a\n${'b'.repeat(128)}  ./b\n\0F./x\0one\ntwo\n\0E0\0`);

  /** As it may come over a line: in pieces of so many bytes. */
  async function through(bytes: Buffer, size: number, progress?: ListingProgress): Promise<Buffer> {
    const stream = new ListingStream(progress);
    for (let at = 0; at < bytes.length; at += size) stream.take(bytes.subarray(at, at + size));
    return stream.whole();
  }

  it('refuses a packed listing that was cut short or damaged', async () => {
    const packed = gzipSync(listing);
    await expect(through(packed.subarray(0, -9), 50)).rejects.toMatchObject({ code: 'target_answer' });
    const damaged = Buffer.from(packed);
    damaged[30] = (damaged[30] ?? 0) ^ 0xff;
    await expect(through(damaged, 50)).rejects.toMatchObject({ code: 'target_answer' });
  });

  it.each([1, 7, 4096])('takes it packed or not, in pieces of %i bytes', async (size) => {
    expect(await through(gzipSync(listing), size)).toEqual(listing);
    expect(await through(listing, size)).toEqual(listing);
    expect(await through(Buffer.alloc(0), size)).toEqual(Buffer.alloc(0));
  });

  it('counts files and not lines of contents, up to as many as were announced', async () => {
    const counted: number[][] = [];
    await through(listing, 1, (done, total) => counted.push([done, total]));
    expect(counted.at(-1)).toEqual([3, 3]);
    expect(counted.filter(([, total]) => total !== 3)).toEqual([]);
    expect(counted.map(([done]) => done)).toEqual(counted.map(([done = 0]) => done).sort((a, b) => a - b));
  });
});

describe('readSettings()', () => {
  const look = async (text: string): Promise<readonly number[] | undefined> => {
    put('config.php', text);
    return (await readSettings(transport, folder, '/nc'))?.code.get('config.php')?.lines;
  };

  it.each([
    "system('id');",
    "'system'('id'),",
    "['Evil', 'run']('id'),",
    "'a' => `id`,",
    `"{$${'{system(1)'}}}" => 1,`,
    "'a' => eval('x'),",
    "include '/tmp/x.php';",
    '// a comment ?><?php system(1)',
    '// a comment ??>',
    "// a comment\rsystem('id');",
    '#[Evil]',
    '/* two lines',
    "'open string",
    '?>',
    '$CONFIG = $_GET;',
    "'a' => getenv('B'),",
    "'a' => <<<X",
    "'x' . system('id') . 'y',",
  ])('names a line that is more than plain values: %j', async (line) => {
    expect(await look(`<?php\n$CONFIG = array (\n  'a' => 'b',\n${line}\n);\n`)).toEqual([4]);
  });

  it('takes config.php as Nextcloud and people write it', async () => {
    const text = [
      '<?php',
      '$CONFIG = array (',
      "  'instanceid' => 'oc1',",
      "  'passwordsalt' => 'it\\'s (a) $salt; system(1)',",
      "  'apps_paths' => ",
      '  array (',
      '    0 => ',
      '    array (',
      "      'path' => OC::$SERVERROOT . '/apps',",
      "      'writable' => false,",
      '    ),',
      '  ),',
      "  'trusted_domains' => ['a.example', \"b.example\"], // why? because",
      "  # 'loglevel' => 2,",
      "  'loglevel' => -1, 'version' => '33.0.1.2',",
      "  'theme' => NULL,",
      ');',
      '',
    ].join('\n');
    expect(await look(text)).toEqual([]);
  });

  it('reads the files beside config.php too, and answers no value but paths, the version and the instance id', async () => {
    put(
      'config.php',
      "<?php\n$CONFIG = ['secret' => 'canary', 'datadirectory' => '/srv/data', 'version' => '33.0.1.2'];\n",
    );
    put('more.config.php', '<?php\n\0system(1);\n');
    put('evil.php', '<?php');
    const found = await readSettings(transport, folder, '/nc');
    expect(found).toEqual({
      paths: [],
      dataDirectories: ['/srv/data'],
      instanceId: null,
      version: '33.0.1.2',
      unreadable: 0,
      code: new Map([
        ['config.php', { lines: [], hash: sha512('') }],
        ['more.config.php', { lines: [2], hash: sha512('?system(1);\n') }],
      ]),
    });
    expect(await readSettings(transport, join(folder, 'none'), '/nc')).toBeNull();
  });
});

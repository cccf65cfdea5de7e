import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type CoreDumps, type MemoryEvidence, memoryFindings, type SwapArea } from '../../../patcher/doctor/memory.ts';
import { probeMemory } from '../../../patcher/doctor/memory-probe.ts';
import { openLocalTransport } from '../../../patcher/transports/local-transport.ts';

const worker = { name: 'php-fpm8.2', coreLimit: '0', changedUser: true };
const quiet: CoreDumps = { pattern: 'core', suidDumpable: 0, storage: null, workers: [worker], files: [] };
const found = (changes: Partial<MemoryEvidence> = {}, cores: Partial<CoreDumps> = {}) =>
  Object.fromEntries(
    memoryFindings({ swapsTold: true, swap: [], ...changes, cores: { ...quiet, ...cores } }).map(({ code, level }) => [
      code,
      level,
    ]),
  );
const area = (on: SwapArea['on']): SwapArea => ({ path: '/swapfile', on, usedKib: 2048 });

describe('swap', () => {
  test('on a disk in clear is warned of, also beside one that is not', () => {
    expect(found({ swap: [area('clear')] })).toMatchObject({ swap_in_clear: 'warn' });
    expect(found({ swap: [area('zram'), area('clear')] })).toMatchObject({ swap_in_clear: 'warn' });
  });
  test('off, encrypted or in memory is fine', () => {
    expect(found()).toMatchObject({ swap_off: 'ok' });
    expect(found({ swap: [area('crypt'), area('zram')] })).toMatchObject({ swap_safe: 'ok' });
  });
  test('that cannot be told is not taken for off', () => {
    expect(found({ swapsTold: false })).toMatchObject({ swap_unknown: 'unknown' });
  });
});

describe('core dumps', () => {
  const open = { ...worker, coreLimit: 'unlimited', changedUser: false };
  test.each([
    ['a plain file', 'core', 'warn'],
    ['systemd', '|/usr/lib/systemd/systemd-coredump %P %u', 'warn'],
    ['apport', '|/usr/share/apport/apport %p', 'warn'],
  ])('of a PHP that may be dumped go to %s', (_, pattern, level) => {
    expect(found({}, { pattern, workers: [open] })).toMatchObject({ core_dumps: level });
  });
  test.each(['', '|/bin/false', '/dev/null'])('are thrown away by %j', (pattern) => {
    expect(found({}, { pattern, workers: [open] })).toMatchObject({ cores_off: 'ok' });
  });
  test('are thrown away by Storage=none, where systemd takes them', () => {
    const pattern = '|/usr/lib/systemd/systemd-coredump %P';
    expect(found({}, { pattern, storage: 'none', workers: [open] })).toMatchObject({ cores_off: 'ok' });
    expect(found({}, { pattern: 'core', storage: 'none', workers: [open] })).toMatchObject({ core_dumps: 'warn' });
  });
  test('a limit of 0 holds for files and systemd, not for other programs', () => {
    const limited = { ...open, coreLimit: '0' };
    expect(found({}, { workers: [limited] })).toMatchObject({ cores_closed: 'ok' });
    expect(found({}, { pattern: '|/usr/share/apport/apport', workers: [limited] })).toMatchObject({
      core_dumps: 'warn',
    });
  });
  test('what runs as root is not taken for closed', () => {
    expect(found({}, { workers: [{ ...open, changedUser: null }] })).toMatchObject({ core_dumps: 'warn' });
  });
  test.each([
    [0, '|/usr/share/apport/apport', 'cores_closed'],
    [1, 'core', 'core_dumps'],
    [2, 'core', 'cores_closed'],
    [2, '/var/cores/%p', 'core_dumps'],
    [2, '|/usr/share/apport/apport', 'core_dumps'],
    [null, '|/usr/share/apport/apport', 'core_dumps'],
  ])('of a PHP that has changed its user, with fs.suid_dumpable %j and %s: %s', (suidDumpable, pattern, code) => {
    const workers = [{ ...open, changedUser: true }];
    expect(found({}, { suidDumpable, pattern, workers })).toHaveProperty(code);
  });
  test('the process of root that starts the workers is not taken for one of them', () => {
    const workers = [{ ...open, changedUser: null }, worker];
    expect(found({}, { pattern: '|/usr/share/apport/apport', workers })).toMatchObject({ cores_closed: 'ok' });
  });
  test('without a running PHP nothing is claimed', () => {
    expect(found({}, { workers: [] })).toMatchObject({ cores_unsure: 'info' });
  });
  test('that are there already are bad', () => {
    expect(found({}, { files: ['/var/crash/_usr_sbin_php-fpm.crash'] })).toMatchObject({ core_files: 'bad' });
  });
});

describe('the look at the machine', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'lk-memory-'));
  });
  afterEach(() => rmSync(root, { recursive: true }));
  const put = (path: string, text: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  const look = async () => probeMemory(await openLocalTransport({ prompter: null }), root);

  test('finds what each swap area ends on, through the layers below it', async () => {
    put(
      'proc/swaps',
      'Filename\tType\tSize\tUsed\tPriority\n/dev/zram0 partition 100 10 5\n/dev/dm-1 partition 100 20 4\n/dev/sda2 partition 100 30 3\n/gone\\040file file 1 1 1\n',
    );
    put('sys/class/block/zram0/disksize', '1');
    put('sys/class/block/sda2/size', '1');
    put('sys/class/block/dm-0/dm/uuid', 'CRYPT-LUKS2-abc');
    put('sys/class/block/dm-1/dm/uuid', 'LVM-abc');
    mkdirSync(join(root, 'sys/class/block/dm-1/slaves'));
    symlinkSync('../../dm-0', join(root, 'sys/class/block/dm-1/slaves/dm-0'));
    expect((await look()).swap).toEqual([
      { path: '/dev/zram0', on: 'zram', usedKib: 10 },
      { path: '/dev/dm-1', on: 'crypt', usedKib: 20 },
      { path: '/dev/sda2', on: 'clear', usedKib: 30 },
      { path: '/gone\\040file', on: 'clear', usedKib: 1 },
    ]);
  });

  test('a zram with a disk behind it is in clear', async () => {
    put('proc/swaps', 'Filename\n/dev/zram0 partition 100 10 5\n');
    put('sys/class/block/zram0/backing_dev', '/dev/sda3\n');
    expect((await look()).swap).toEqual([{ path: '/dev/zram0', on: 'clear', usedKib: 10 }]);
  });

  test('reads the pattern, the last Storage= and the workers; other processes are left out', async () => {
    put('proc/swaps', 'Filename\n');
    put('proc/sys/kernel/core_pattern', '|/usr/lib/systemd/systemd-coredump %P %u\n');
    put('proc/sys/fs/suid_dumpable', '2\n');
    put('etc/systemd/coredump.conf', '[Coredump]\nStorage=external\n');
    put('etc/systemd/coredump.conf.d/none.conf', '[Coredump]\n Storage = none\n');
    for (const [pid, comm] of [
      ['7', 'php-fpm8.2'],
      ['8', 'bash'],
    ]) {
      put(`proc/${pid}/comm`, `${comm}\n`);
      put(
        `proc/${pid}/limits`,
        'Limit  Soft  Hard  Units\nMax core file size        unlimited            unlimited            bytes\n',
      );
      put(`proc/${pid}/status`, 'Name:\tx\nUid:\t33\t33\t33\t33\n');
      put(`proc/${pid}/environ`, 'not to be read');
    }
    put('var/lib/systemd/coredump/core.php-fpm8\\x2e2.33.zst', '');
    const { cores, swapsTold } = await look();
    expect(swapsTold).toBe(true);
    expect(cores).toMatchObject({
      pattern: '|/usr/lib/systemd/systemd-coredump %P %u',
      suidDumpable: 2,
      storage: 'none',
    });
    // who the files of a process belong to tells; here they are of whoever runs the test
    expect(cores.workers).toEqual([
      { name: 'php-fpm8.2', coreLimit: 'unlimited', changedUser: process.getuid?.() === 0 },
    ]);
    expect(cores.files).toEqual([join(root, 'var/lib/systemd/coredump/core.php-fpm8\\x2e2.33.zst')]);
  });

  test('a machine without any of these files is no crash', async () => {
    expect(await look()).toEqual({
      swapsTold: false,
      swap: [],
      cores: { pattern: '', suidDumpable: null, storage: null, workers: [], files: [] },
    });
  });
});

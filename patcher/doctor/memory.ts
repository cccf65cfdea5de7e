import { bad, type Finding, info, ok, shellWord, unknown, warn } from './finding.ts';

export interface SwapArea {
  readonly path: string;
  /** What it ends on: memory, an encrypted disk, or a disk in clear. */
  readonly on: 'zram' | 'crypt' | 'clear';
  readonly usedKib: number;
}
export interface WorkerSeen {
  readonly name: string;
  /** Soft limit of its core file: bytes, `unlimited`, or 0. */
  readonly coreLimit: string;
  /** The kernel treats it as one that has changed its user; `null` where that cannot be told, as of what runs as root. */
  readonly changedUser: boolean | null;
}
export interface CoreDumps {
  /** kernel.core_pattern */
  readonly pattern: string;
  readonly suidDumpable: number | null;
  /** `Storage=` of coredump.conf, the last one; `null` where none is set (then it is `external`). */
  readonly storage: string | null;
  readonly workers: readonly WorkerSeen[];
  /** Core files of PHP or its web server. */
  readonly files: readonly string[];
}
export interface MemoryEvidence {
  readonly swapsTold: boolean;
  readonly swap: readonly SwapArea[];
  readonly cores: CoreDumps;
}

/** Pure: ways by which the kernel writes memory, the opened key with it, to a disk. */
export function memoryFindings(evidence: MemoryEvidence): Finding[] {
  return [...swapFindings(evidence), ...coreFindings(evidence.cores)];
}

function swapFindings({ swapsTold, swap }: MemoryEvidence): Finding[] {
  if (!swapsTold) return [unknown('swap_unknown', 'whether swap is on could not be told')];
  const clear = swap.filter(({ on }) => on === 'clear');
  if (swap.length === 0) return [ok('swap_off', 'no swap')];
  if (clear.length === 0) return [ok('swap_safe', 'swap is encrypted or in memory')];
  return [
    warn('swap_in_clear', 'swap is on and ends on a disk in clear', {
      why: 'PHP keeps the opened key in memory while it works, and swapping writes that down',
      fix: 'swapoff -a, and take it out of /etc/fstab; or swap on zram or dm-crypt (cryptswap)',
      seen: clear.map(({ path, usedKib }) => `${path}: ${Math.round(usedKib / 1024)} MiB used`),
    }),
  ];
}

/** Where the kernel sends the memory of a process that crashed. */
function handlerOf({ pattern, storage }: CoreDumps): 'none' | 'file' | 'systemd' | 'apport' | 'other' {
  if (
    pattern === '' ||
    /^(?:\|\s*)?\/(?:dev\/null|bin\/false|usr\/bin\/false|bin\/true|usr\/bin\/true)\b/.test(pattern)
  )
    return 'none';
  if (!pattern.startsWith('|')) return 'file';
  if (pattern.includes('systemd-coredump')) return storage === 'none' ? 'none' : 'systemd';
  return pattern.includes('apport') ? 'apport' : 'other';
}

/** proc(5), suid_dumpable: 0 never, 1 always, 2 where only root can read it: by a program, or at an absolute path. */
function mayBeDumped({ changedUser }: WorkerSeen, { suidDumpable, pattern }: CoreDumps): boolean {
  if (changedUser !== true || suidDumpable === 1) return true;
  return suidDumpable !== 0 && /^[|/]/.test(pattern);
}

/** Without the processes of root that only start the others, and never have a key; where all are root's, they are the workers. */
function workersAmong(all: readonly WorkerSeen[]): readonly WorkerSeen[] {
  return all.filter(
    (one) =>
      one.changedUser !== null || !all.some(({ name, changedUser }) => name === one.name && changedUser !== null),
  );
}

function coreFindings(cores: CoreDumps): Finding[] {
  const found: Finding[] = [];
  if (cores.files.length > 0) {
    found.push(
      bad('core_files', `${cores.files.length} core dumps of PHP or its web server are on the disk`, {
        why: 'they are the memory of a process that had the key open',
        fix: `shred -u ${cores.files.map(shellWord).join(' ')}`,
        seen: cores.files,
      }),
    );
  }
  const handler = handlerOf(cores);
  // only systemd and plain files look at the limit; a dump handed to another program ignores it
  const obeysLimit = handler === 'file' || handler === 'systemd';
  const open = workersAmong(cores.workers).filter(
    (one) => mayBeDumped(one, cores) && !(obeysLimit && one.coreLimit === '0'),
  );
  if (handler === 'none') found.push(ok('cores_off', 'core dumps are thrown away'));
  else if (cores.workers.length === 0) {
    found.push(
      info('cores_unsure', `a core dump of PHP could be written (${cores.pattern}); no running PHP was seen`, {
        why: 'LimitCORE=0 for the service of PHP, or Storage=none in coredump.conf, ends that',
      }),
    );
  } else if (open.length === 0) found.push(ok('cores_closed', 'PHP cannot be dumped to a core file'));
  else {
    const sure = open.some(({ changedUser }) => changedUser !== null);
    found.push(
      warn(
        'core_dumps',
        `a crash of PHP ${sure ? 'would' : 'may'} write its memory to the disk (${cores.pattern.split(' ')[0]})`,
        {
          why: 'the opened key is in that memory',
          fix:
            handler === 'systemd'
              ? 'set Storage=none in /etc/systemd/coredump.conf'
              : 'set LimitCORE=0 with "systemctl edit" for PHP\'s service, or kernel.core_pattern=|/bin/false',
          seen: [...new Set(open.map(({ name, coreLimit }) => `${name}: core limit ${coreLimit}`))],
        },
      ),
    );
  }
  return found;
}

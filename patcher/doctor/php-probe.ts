import { isLatchkeyError } from '../../platform/errors.ts';
import { type PhpInfo, parsePhpInfo } from '../targets/php-runtime.ts';
import { readServerSettings } from '../targets/server-settings.ts';
import { commandFor, servingPhp } from '../targets/serving-php.ts';
import type { Transport } from '../transports/transport.ts';
import type { Patient } from './patient.ts';
import type { PhpEvidence, PhpSeen } from './php-settings.ts';
import { count, PROBE_START, recorded, runProbe } from './probe-answer.ts';

/** $1 PHP's settings folder, $2 its main file, $3 the pool's file. Newest change of them, and the age of the oldest worker. */
const TIMES = `${PROBE_START}
newest=$(find "$1" "$2" "$3" -maxdepth 1 -type f -exec stat -L -c %Y {} + 2>/dev/null | sort -n | tail -n 1)
rec changed "$newest" ''
rec now "$(date +%s)" ''
oldest=$(ps -eo etimes=,args= 2>/dev/null | awk '/php-fpm: pool/ && !/awk/ { if ($1 > o) o = $1 } END { print o }')
rec workers "$oldest" ''
`;

/** Asks the PHP of the command line, and the one that serves where it is found as files of the machine. */
export async function probePhp(patient: Patient): Promise<PhpEvidence> {
  const { instance, web, files, root } = patient;
  const shown = await instance?.runPhp(['-i']).catch(ours);
  const cli = shown === undefined || shown === null ? null : phpSeen(shown.stdout.toString('utf8'), {});
  const common = { cli, web, mendable: patient.target === 'lamp' && files === patient.machine };
  if (patient.target !== 'lamp') return { ...common, serving: null, pool: null, times: null };
  const serving = servingPhp(root, await readServerSettings(files));
  const command = serving === null ? null : await commandFor(files, serving);
  if (serving === null || command === null) return { ...common, serving: null, pool: null, times: null };
  const pool = serving.sapi === 'fpm' ? serving.pool : null;
  const info = await files.run([...command, '-i']);
  const seen = phpSeen(info.stdout.toString('utf8'), pool?.ini ?? {});
  return {
    ...common,
    serving: seen,
    pool: pool === null ? null : { file: pool.file, user: pool.user, sets: Object.keys(pool.ini) },
    times: pool === null || seen === null ? null : await timesOf(files, seen, pool.file),
  };
}

function phpSeen(text: string, over: Readonly<Record<string, string>>): PhpSeen | null {
  const info: PhpInfo | null = parsePhpInfo(text);
  if (info === null) return null;
  const setting = (name: string): string => over[name] ?? info.settings.get(name) ?? '';
  const scan = /^Scan this dir for additional \.ini files => (\/[^:\n]*)$/m.exec(text)?.[1];
  return {
    version: info.version,
    iniFile: info.iniFile,
    iniFolder: scan?.replace(/\/+$/, '') ?? null,
    exceptionIgnoreArgs: setting('zend.exception_ignore_args'),
    opcacheFiles: setting('opcache.file_cache'),
    apcuFile: setting('apc.mmap_file_mask'),
  };
}

async function timesOf(transport: Transport, seen: PhpSeen, poolFile: string): Promise<PhpEvidence['times']> {
  const { iniFolder, iniFile } = seen;
  const records = await runProbe(transport, TIMES, [iniFolder ?? poolFile, iniFile ?? poolFile, poolFile]);
  const [changed, now, age] = ['changed', 'now', 'workers'].map((kind) => count(recorded(records, kind) ?? undefined));
  if (changed == null || now == null || age == null) return null;
  return { changed: changed * 1000, workersSince: (now - age) * 1000 };
}

function ours(error: unknown): null {
  if (isLatchkeyError(error) && error.code !== 'connection_lost') return null;
  throw error;
}

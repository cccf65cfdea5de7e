import { showTime } from '../../platform/command-io.ts';
import type { TimeSync } from '../../platform/time-sync.ts';
import { type Finding, findingsAbout } from './finding.ts';

/** What a hub is, as far as it is no interface. */
export interface HubLook {
  readonly now: number;
  readonly directory: string;
  /** What is wrong with its owner and mode, in words. */
  readonly directoryFault: string | null;
  /** Files in it that others may read. */
  readonly openFiles: readonly string[];
  readonly freeBytes: number;
  readonly database: 'sqlite' | 'postgres';
  readonly isWritable: boolean;
  readonly vault: 'closed' | 'opens' | { readonly message: string; readonly hint: string };
  /** Whether the secret that opens the vault lies on the disk that the data lies on; `null` when that cannot be told. */
  readonly secretBesideData: boolean | null;
  /** A command's option that opens the vault, for the hint. */
  readonly unsealOption: string;
  readonly audit:
    | { readonly records: number; readonly signedTo: number; readonly signedAt: number }
    | { readonly broken: string };
  /** When the last record was made; 0 when there is none. */
  readonly lastRecordAt: number;
  readonly timeSync: TimeSync;
  /** The process of the hub that answers at the doorbell. */
  readonly pid: number | null;
  /** When the last backup was made; `null` when none was. */
  readonly lastBackupAt: number | null;
  readonly exportFolder: { readonly path: string; readonly trouble: string | null } | null;
}

const DAY = 86_400_000;
const HOUR = 3_600_000;
const MEBIBYTE = 1_048_576;
/** Under this, disk space is a fault: with a full disk no peer can be made or removed. */
const LEAST_SPACE = 64 * MEBIBYTE;
const GOOD_SPACE = 512 * MEBIBYTE;
const OLD_BACKUP_DAYS = 8;

const { ok, unknown, warn, fault } = findingsAbout(null);

/** Pure: what of the hub itself has to be seen to. */
export function hubFindings(look: HubLook): Finding[] {
  return [
    runningFinding(look),
    directoryFinding(look),
    spaceFinding(look),
    look.isWritable
      ? ok('database', `${look.database}, writable`)
      : fault(
          'database',
          `${look.database}, cannot be written`,
          'no peer can be made, removed or switched off',
          look.database === 'sqlite' ? `ls -l ${look.directory}` : 'see the log of PostgreSQL',
        ),
    vaultFinding(look),
    ...secretFinding(look),
    ...auditFindings(look),
    clockFinding(look),
    timeFinding(look.timeSync),
    backupFinding(look),
    ...exportFinding(look),
  ];
}

function runningFinding({ pid, directory }: HubLook): Finding {
  if (pid !== null) return ok('hub', `runs, process ${pid}`);
  const why = 'nobody mends the interfaces, and the API does not answer';
  return fault('hub', 'does not run', why, `wghub start --data ${directory}`);
}

function directoryFinding({ directory, directoryFault, openFiles }: HubLook): Finding {
  const why = 'whoever reads it has the peers, and all that keeps them from the keys is the vault';
  if (directoryFault !== null) return fault('data directory', directoryFault, why, `chmod 700 ${directory}`);
  if (openFiles.length === 0) return ok('data directory', 'its owner’s alone');
  const files = openFiles.map((name) => `${directory}/${name}`).join(' ');
  return warn('data directory', `others may read ${openFiles.join(', ')}`, why, `chmod 600 ${files}`);
}

function spaceFinding({ freeBytes, directory }: HubLook): Finding {
  const found = `${Math.floor(freeBytes / MEBIBYTE)} MiB free`;
  if (freeBytes >= GOOD_SPACE) return ok('disk space', found);
  const why = 'on a full disk no peer can be made or removed';
  return (freeBytes < LEAST_SPACE ? fault : warn)('disk space', found, why, `df -h ${directory}`);
}

function vaultFinding({ vault, unsealOption }: HubLook): Finding {
  if (vault === 'closed') return unknown('vault', 'was not opened', `give ${unsealOption} to have it tried`);
  if (vault === 'opens') return ok('vault', 'opens, and the key of each interface with it');
  return fault('vault', vault.message, 'without it no interface can be built', vault.hint);
}

function secretFinding({ secretBesideData, unsealOption }: HubLook): Finding[] {
  if (secretBesideData === null) return [];
  const check = 'vault secret';
  if (!secretBesideData) return [ok(check, 'is on another disk than the data')];
  const why = 'whoever takes the disk, or a copy of it, has both';
  return [
    warn(check, 'is on the disk that the data is on', why, `keep the file of ${unsealOption} elsewhere, or use a TPM`),
  ];
}

function auditFindings({ audit, now, directory }: HubLook): Finding[] {
  if ('broken' in audit) {
    const why = 'somebody changed what was done on this hub';
    return [fault('audit log', audit.broken, why, `wghub restore, or keep ${directory} for whoever looks into it`)];
  }
  const { records, signedTo, signedAt } = audit;
  const whole = ok('audit log', `${records} records, unbroken, signed up to ${signedTo} at ${showTime(signedAt)}`);
  if (signedTo >= records || now - signedAt < 2 * HOUR) return [whole];
  const found = `${records - signedTo} records since ${showTime(signedAt)} are not signed`;
  return [
    whole,
    warn(
      'audit signature',
      found,
      'what is not signed can be taken off its end',
      'start the hub, which signs each hour',
    ),
  ];
}

/** The clock has no judge at hand but the log: a record from the future means that it went back. */
function clockFinding({ now, lastRecordAt }: HubLook): Finding {
  if (lastRecordAt <= now + 1000) return ok('clock', 'not behind the last record');
  const found = `${Math.round((lastRecordAt - now) / 1000)} s behind the last audit record`;
  const why = 'a peer whose handshakes are older than its last one is not heard; expiry goes by it too';
  return fault('clock', found, why, 'timedatectl set-ntp true');
}

function timeFinding(sync: TimeSync): Finding {
  if (sync === 'yes') return ok('time server', 'the system keeps its clock by one');
  if (sync === 'unknown') return unknown('time server', 'could not be asked for here');
  const why = 'gateways whose time differs by 300 s are refused, and so are codes of log-ins';
  return warn('time server', 'the system says that its clock is not kept', why, 'timedatectl set-ntp true');
}

function backupFinding({ database, lastBackupAt, now, directory }: HubLook): Finding {
  const fix = `wghub backup --data ${directory}, by a timer and to another machine`;
  const why = 'without one a lost disk means new keys on every device';
  if (lastBackupAt === null) {
    return database === 'postgres'
      ? ok('backup', 'none of wghub, see to the one of PostgreSQL')
      : warn('backup', 'none was made yet', why, fix);
  }
  const days = Math.max(0, Math.floor((now - lastBackupAt) / DAY));
  const found = days === 0 ? 'less than a day old' : `${days} ${days === 1 ? 'day' : 'days'} old`;
  return days < OLD_BACKUP_DAYS ? ok('backup', found) : warn('backup', found, why, fix);
}

function exportFinding({ exportFolder }: HubLook): Finding[] {
  if (exportFolder === null) return [];
  const { path, trouble } = exportFolder;
  if (trouble === null) return [ok('export folder', path)];
  return [
    warn(
      'export folder',
      `${path} ${trouble}`,
      'files of interfaces there are not kept up to date',
      `mkdir -m 700 ${path}`,
    ),
  ];
}

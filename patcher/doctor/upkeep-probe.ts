import { readServerSettings } from '../targets/server-settings.ts';
import { servingPhp } from '../targets/serving-php.ts';
import { doorTo, type Patient } from './patient.ts';
import { count, PROBE_START, recorded, runProbe } from './probe-answer.ts';
import { flagOf, textOf } from './settings.ts';
import type { UpkeepEvidence } from './upkeep.ts';

/** $1 config.php, $2 data directory, $3 root of the code. Modes, and what shields a data directory below the code. */
const MODES = `${PROBE_START}
[ -e "$1" ] && rec config "$(stat -L -c %a:%U:%G "$1")" "$1"
[ -d "$2" ] && rec data "$(stat -L -c %a:%U "$2")" "$2"
[ -f "$2/.htaccess" ] && rec htaccess '' "$2/.htaccess"
[ -f "$2/.ncdata" ] || [ -f "$2/.ocdata" ] && rec marker '' "$2"
rec now "$(date +%s)" ''
:
`;

export async function probeUpkeep(patient: Patient): Promise<UpkeepEvidence> {
  const { files, configFile, root, settings, facts } = patient;
  const data = patient.dataDirectory ?? `${root}/data`;
  const seen = await runProbe(files, MODES, [configFile, data, root]);
  const [mode, owner] = (recorded(seen, 'config') ?? '').split(':');
  const logLevel = settings.system.loglevel;
  return {
    door: doorTo(patient),
    facts,
    known: settings.source === 'occ',
    debug: flagOf(settings, 'debug'),
    logLevel: logLevel === undefined ? null : Number(logLevel),
    integrityOff: flagOf(settings, 'integrity.check.disabled'),
    maintenance: facts?.maintenance ?? flagOf(settings, 'maintenance'),
    jobs: settings.source === 'occ' ? (settings.core.backgroundjobs_mode ?? 'ajax') : null,
    lastJob: settings.source === 'occ' ? (count(settings.core.lastcron) ?? 0) * 1000 : null,
    nowThere: (count(recorded(seen, 'now') ?? undefined) ?? 0) * 1000,
    config: mode === undefined || owner === undefined ? null : { path: configFile, mode, owner },
    poolUser: patient.target === 'lamp' ? await poolUserOf(patient) : null,
    data: dataOf(recorded(seen, 'data'), data),
    dataKnown: patient.dataDirectory !== null,
    dataBelowRoot: data.startsWith(`${root}/`),
    hasHtaccess: seen.some(({ kind }) => kind === 'htaccess'),
    address: textOf(settings, 'overwrite.cli.url'),
  };
}

/** Who serves the web: the pool's user, where the pool is known. */
async function poolUserOf({ files, root }: Patient): Promise<string | null> {
  const serving = servingPhp(root, await readServerSettings(files));
  return serving?.sapi === 'fpm' ? serving.pool.user : null;
}

function dataOf(value: string | null, path: string): UpkeepEvidence['data'] {
  const [mode, owner] = (value ?? '').split(':');
  return mode === undefined || owner === undefined ? null : { path, mode, owner };
}

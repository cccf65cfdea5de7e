import { X509Certificate } from 'node:crypto';
import * as z from 'zod';
import { timerUnit } from '../heartbeat-timer.ts';
import type { CredentialsEvidence, Lifetime } from './credentials.ts';
import { doorTo, type Patient } from './patient.ts';
import { count, PROBE_START, recorded, runProbe } from './probe-answer.ts';

/**
 * $1 state folder, $2 seconds. Modes and ages of what is in it, the two certificates without what may stand beside them,
 * and the outcome of the last heartbeat. The token, the link and the private key stay where they are.
 */
const STATE = `${PROBE_START}
[ -d "$1" ] || exit 0
rec folder "$(stat -c %a:%U "$1")" "$1"
cd "$1" || exit 1
for one in ./* ./.*; do
  [ -f "$one" ] || [ -h "$one" ] || continue
  rec file "$(stat -c %a:%U:%Y:%F "$one")" "\${one#./}"
done
for one in client.crt ca.pem; do
  [ -f "$one" ] && rec certificate "$(sed -n '/-----BEGIN CERTIFICATE-----/,/-----END CERTIFICATE-----/p' "$one" | head -c 65536)" "$one"
done
[ -f heartbeat.json ] && rec heartbeat "$(head -c 4096 heartbeat.json)" ''
:
`;

/** $1 unit of the timer. Whether something runs what is due. */
const TIMER = `${PROBE_START}
if [ -d /run/systemd/system ]; then rec timer "$(systemctl is-active "$1" 2>/dev/null)" systemd
else
  for process in /proc/[0-9]*; do
    case $(cat "$process/comm" 2>/dev/null) in cron|crond|busybox) grep -qa cron "$process/cmdline" 2>/dev/null && { rec timer active cron; exit 0; } ;; esac
  done
  rec timer inactive cron
fi
`;

const heartbeatSchema = z.looseObject({
  time: z.number().nullable(),
  code: z.string().max(64).nullable(),
  answered: z.number().nullable(),
});

export async function probeCredentials(patient: Patient): Promise<CredentialsEvidence> {
  const { files, machine, stateFolder, facts, instanceId } = patient;
  const seen = stateFolder === null ? [] : await runProbe(files, STATE, [stateFolder]);
  const [mode, owner] = (recorded(seen, 'folder') ?? '').split(':');
  const timer = instanceId === null ? [] : await runProbe(machine, TIMER, [timerUnit(instanceId)]);
  const certificate = (name: string): Lifetime | null => {
    const found = seen.find(({ kind, path }) => kind === 'certificate' && path === name);
    return found === undefined ? null : lifetimeOf(found.value);
  };
  return {
    door: doorTo(patient),
    stateFolder:
      mode === undefined || owner === undefined || stateFolder === null ? null : { path: stateFolder, mode, owner },
    owner: facts?.owner.user ?? patient.instance?.owner.user ?? null,
    files: seen
      .filter(({ kind }) => kind === 'file')
      .map(({ value, path }) => {
        const [bits = '', user = '', time, type] = value.split(':');
        return {
          name: path,
          mode: bits,
          owner: user,
          mtime: (count(time) ?? 0) * 1000,
          plain: type?.startsWith('regular') === true,
        };
      }),
    hasCertificate: seen.some(({ kind, path }) => kind === 'certificate' && path === 'client.crt'),
    certificate: certificate('client.crt'),
    authority: certificate('ca.pem'),
    keysAway: patient.keysAway,
    timerInstalled: facts === null ? null : Object.keys(facts.timerFiles).length > 0,
    scheduler: facts?.scheduler ?? null,
    timerActive: recorded(timer, 'timer') === null ? null : recorded(timer, 'timer') === 'active',
    heartbeat: heartbeatOf(recorded(seen, 'heartbeat')),
  };
}

/** The first certificate of a file; `null` when it is none. */
export function lifetimeOf(pem: string): Lifetime | null {
  try {
    const { validFrom, validTo } = new X509Certificate(pem);
    const [from, until] = [Date.parse(validFrom), Date.parse(validTo)];
    return Number.isNaN(from) || Number.isNaN(until) ? null : { from, until };
  } catch {
    return null; // the decider tells that it cannot be read
  }
}

function heartbeatOf(text: string | null): CredentialsEvidence['heartbeat'] {
  if (text === null) return null;
  try {
    const { time, code, answered } = heartbeatSchema.parse(JSON.parse(text));
    return { time, code, answered };
  } catch {
    return { time: null, code: null, answered: null };
  }
}

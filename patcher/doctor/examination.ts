import { isLatchkeyError } from '../../platform/errors.ts';
import type { LocalApp } from '../app-files.ts';
import type { Progress } from '../progress.ts';
import { cachesFindings } from './caches.ts';
import { probeCaches } from './caches-probe.ts';
import { clockFindings } from './clock.ts';
import { probeCopies } from './copies-probe.ts';
import { credentialsFindings } from './credentials.ts';
import { probeCredentials } from './credentials-probe.ts';
import { bad, type Finding, failedLook, GROUPS, type Group, LEVELS, type Level } from './finding.ts';
import { hindrances } from './hindrances.ts';
import { copiesFindings } from './keys-on-disk.ts';
import { memoryFindings } from './memory.ts';
import { probeMemory } from './memory-probe.ts';
import { probeClock, probeRoutes } from './network-probe.ts';
import { ownStateFindings } from './own-state.ts';
import { probeOwnState } from './own-state-probe.ts';
import type { Patient } from './patient.ts';
import { probePhp } from './php-probe.ts';
import { phpFindings } from './php-settings.ts';
import { releaseFindings } from './release.ts';
import { probeRelease } from './release-probe.ts';
import { tunnelFindings } from './tunnel.ts';
import { upkeepFindings } from './upkeep.ts';
import { probeUpkeep } from './upkeep-probe.ts';

export interface ExaminationDeps {
  readonly app: LocalApp;
  readonly now: () => number;
  readonly progress: Progress;
  /** False leaves the key server alone. */
  readonly askKeyServer: boolean;
}

export interface GroupReport {
  readonly group: Group;
  /** Worst first. */
  readonly findings: readonly Finding[];
}

/** One look: what was seen, or why it could not be. */
interface Look {
  readonly group: Group;
  /** For the finding that tells of its failure. */
  readonly name: string;
  readonly findings: (patient: Patient, deps: ExaminationDeps) => Promise<Finding[]>;
}

const LOOKS: readonly Look[] = [
  {
    group: 'release',
    name: 'release',
    findings: async (patient, { askKeyServer }) => releaseFindings(await probeRelease(patient, askKeyServer)),
  },
  {
    group: 'copies',
    name: 'copies',
    findings: async (patient, { now }) => copiesFindings(await probeCopies(patient), now()),
  },
  { group: 'memory', name: 'memory', findings: async ({ machine }) => memoryFindings(await probeMemory(machine)) },
  { group: 'php', name: 'php', findings: async (patient) => phpFindings(await probePhp(patient)) },
  { group: 'caches', name: 'caches', findings: async (patient) => cachesFindings(await probeCaches(patient)) },
  {
    group: 'credentials',
    name: 'credentials',
    findings: async (patient, { now }) => credentialsFindings(await probeCredentials(patient), now()),
  },
  {
    group: 'network',
    name: 'tunnel',
    findings: async (patient) =>
      tunnelFindings(await probeRoutes(patient), patient.urls === null ? null : patient.urls.length > 0),
  },
  {
    group: 'network',
    name: 'clock',
    findings: async ({ machine }, { now }) => clockFindings(await probeClock(machine, now)),
  },
  {
    group: 'nextcloud',
    name: 'upkeep',
    findings: async (patient, { now }) => upkeepFindings(await probeUpkeep(patient), now()),
  },
  {
    group: 'ncpatch',
    name: 'own_state',
    findings: async (patient, { app, now }) => ownStateFindings(await probeOwnState(patient, app), now()),
  },
];

/**
 * Looks at everything, changes nothing. A look that fails is a finding of its own (`<name>_unseen`); only a broken
 * connection ends it all.
 */
export async function examine(
  patient: Patient,
  deps: ExaminationDeps,
  only: readonly Group[] = GROUPS,
): Promise<GroupReport[]> {
  const standing = patient.facts === null ? new Map<Group, readonly Finding[]>() : hindrances(patient.facts);
  const reports = await Promise.all(
    only.map(async (group): Promise<GroupReport> => {
      const looks = LOOKS.filter((look) => look.group === group);
      const found = await Promise.all(looks.map((look) => lookAt(look, patient, deps)));
      const trouble = group === 'nextcloud' ? troubleOf(patient) : [];
      return { group, findings: sorted(unique([...trouble, ...(standing.get(group) ?? []), ...found.flat()])) };
    }),
  );
  return reports.sort((a, b) => worst(a) - worst(b) || GROUPS.indexOf(a.group) - GROUPS.indexOf(b.group));
}

async function lookAt(look: Look, patient: Patient, deps: ExaminationDeps): Promise<Finding[]> {
  try {
    return await look.findings(patient, deps);
  } catch (error) {
    if (isLatchkeyError(error, 'connection_lost')) throw error;
    return [failedLook(`${look.name}_unseen`, 'this could not be looked at', error)];
  }
}

function troubleOf({ trouble }: Patient): Finding[] {
  if (trouble === null) return [];
  return [
    bad('nextcloud_broken', `nextcloud cannot be asked: ${trouble.message} (${trouble.code})`, {
      why: 'what follows was seen without its help',
      fix: trouble.hint ?? 'run occ by hand to see why',
    }),
  ];
}

/** Two looks may see the same: the first one tells it. */
function unique(findings: readonly Finding[]): Finding[] {
  const seen = new Set<string>();
  return findings.filter(({ code, what }) => {
    const name = `${code} ${what}`;
    if (seen.has(name)) return false;
    seen.add(name);
    return true;
  });
}

function sorted(findings: readonly Finding[]): Finding[] {
  return findings.toSorted((a, b) => LEVELS.indexOf(a.level) - LEVELS.indexOf(b.level));
}

function worst({ findings }: GroupReport): number {
  return Math.min(LEVELS.length, ...findings.map(({ level }) => LEVELS.indexOf(level)));
}

/** How many findings of each level. */
export function tally(reports: readonly GroupReport[]): Readonly<Record<Level, number>> {
  const levels = reports.flatMap(({ findings }) => findings.map(({ level }) => level));
  const counts = LEVELS.map((level) => [level, levels.filter((one) => one === level).length] as const);
  return Object.fromEntries(counts) as Record<Level, number>;
}

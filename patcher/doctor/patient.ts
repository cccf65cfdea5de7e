import { posix } from 'node:path';
import { isLatchkeyError, type LatchkeyError } from '../../platform/errors.ts';
import type { Occ } from '../actions/action.ts';
import { type Facts, STATE_PARENT } from '../facts.ts';
import type { Instance } from '../targets/target.ts';
import type { Transport } from '../transports/transport.ts';
import { type Settings, settingsByOcc, settingsByText, textOf } from './settings.ts';

/** A Nextcloud that may be ill: whatever can still be known of it. */
export interface Patient {
  readonly target: string;
  readonly root: string;
  readonly configFile: string;
  /** What the paths of Nextcloud mean, and the machine below. */
  readonly files: Transport;
  readonly machine: Transport;
  /** `null` where not even that could be found out; then `trouble` tells why. */
  readonly instance: Instance | null;
  readonly occ: Occ | null;
  readonly facts: Facts | null;
  /** Why there are no facts. */
  readonly trouble: LatchkeyError | null;
  readonly settings: Settings;
  readonly instanceId: string | null;
  readonly dataDirectory: string | null;
  readonly stateFolder: string | null;
  /** Ids of the keys that are on the key server only; `null` when that could not be read. */
  readonly keysAway: readonly string[] | null;
}

/** Looks at an instance that could be opened; its facts may still fail. */
export async function admit(instance: Instance, facts: () => Promise<Facts>): Promise<Patient> {
  let known: Facts | null = null;
  let trouble: LatchkeyError | null = null;
  try {
    known = await facts();
  } catch (error) {
    if (!isLatchkeyError(error) || error.code === 'connection_lost') throw error;
    trouble = error;
  }
  const { target, root, configFile, files, machine, occ } = instance;
  const settings = known === null ? null : await settingsByOcc(occ).catch(ours);
  const common = { target, root, configFile, files, machine, instance, occ, facts: known, trouble };
  return complete(common, settings ?? (await settingsByText(files, configFile)), instance);
}

/** Looks at one that could not even be opened. */
export async function admitStranger(
  transport: Transport,
  sighting: { readonly target: string; readonly root: string; readonly configFile: string | null },
  trouble: LatchkeyError,
): Promise<Patient> {
  const { target, root } = sighting;
  const configFile = sighting.configFile ?? `${root}/config/config.php`;
  const around = { files: transport, machine: transport, instance: null, occ: null, facts: null };
  const settings = await settingsByText(transport, configFile);
  return complete({ target, root, configFile, ...around, trouble }, settings, null);
}

function complete(
  common: Pick<
    Patient,
    'target' | 'root' | 'configFile' | 'files' | 'machine' | 'instance' | 'occ' | 'facts' | 'trouble'
  >,
  settings: Settings,
  instance: Instance | null,
): Patient {
  const { facts, root } = common;
  const id = facts?.instanceId ?? textOf(settings, 'instanceid');
  const instanceId = id !== null && /^[a-z0-9]{6,64}$/.test(id) ? id : null;
  const ownFolder =
    instanceId === null ? null : (instance?.defaultStateFolder(instanceId) ?? `${STATE_PARENT}/${instanceId}`);
  return {
    ...common,
    settings,
    instanceId,
    dataDirectory: facts?.dataDirectory ?? plainPath(textOf(settings, 'datadirectory')) ?? `${root}/data`,
    stateFolder: facts?.stateFolder.path ?? plainPath(textOf(settings, 'remotekeystorage.dir')) ?? ownFolder,
    keysAway: facts === null ? null : (facts.enrolment?.keys ?? []),
  };
}

function plainPath(text: string | null): string | null {
  if (text === null || !text.startsWith('/')) return null;
  const path = posix.normalize(text).replace(/\/+$/, '');
  return path === '' ? null : path;
}

function ours(error: unknown): null {
  if (isLatchkeyError(error)) return null;
  throw error;
}

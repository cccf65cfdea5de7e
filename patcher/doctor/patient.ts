import { posix } from 'node:path';
import * as z from 'zod';
import { isLatchkeyError, type LatchkeyError } from '../../platform/errors.ts';
import type { Occ } from '../actions/action.ts';
import { type Enrolment, type Facts, STATE_PARENT, type WebPhp } from '../facts.ts';
import type { Instance } from '../targets/target.ts';
import type { Transport } from '../transports/transport.ts';
import { shellWord } from './finding.ts';
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
  /** Addresses of the key server: none without an enrolment, `null` when that could not be read. */
  readonly urls: readonly string[] | null;
  readonly web: WebPhp | null;
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

async function complete(
  common: Pick<
    Patient,
    'target' | 'root' | 'configFile' | 'files' | 'machine' | 'instance' | 'occ' | 'facts' | 'trouble'
  >,
  settings: Settings,
  instance: Instance | null,
): Promise<Patient> {
  const { facts } = common;
  const id = facts?.instanceId ?? textOf(settings, 'instanceid');
  const instanceId = id !== null && /^[a-z0-9]{6,64}$/.test(id) ? id : null;
  const ownFolder =
    instanceId === null ? null : (instance?.defaultStateFolder(instanceId) ?? `${STATE_PARENT}/${instanceId}`);
  const stateFolder = facts?.stateFolder.path ?? plainPath(textOf(settings, 'remotekeystorage.dir')) ?? ownFolder;
  const enrolment =
    facts === null ? await enrolmentByText(common.files, stateFolder) : (facts.enrolment ?? NOT_ENROLLED);
  return {
    ...common,
    settings,
    instanceId,
    dataDirectory: facts?.dataDirectory ?? plainPath(textOf(settings, 'datadirectory')),
    stateFolder,
    keysAway: enrolment?.keys ?? null,
    urls: enrolment?.urls ?? null,
    web: facts?.web ?? instance?.web ?? null,
  };
}

/** Words to stand before a command that an owner is to run among Nextcloud's files: none where they are the machine's own. */
export function doorTo({ instance }: Patient): string {
  const [program, ...words] = instance?.filesCommand ?? [];
  if (program === undefined) return '';
  return `${[posix.basename(program), ...words.filter((word) => word !== '-i')].map(shellWord).join(' ')} `;
}

const NOT_ENROLLED = { keys: [], urls: [] };

/** $1 client.json: its keys and addresses, and nothing else that is in it. */
const ENROLMENT = `
tr -d ' \\t\\r\\n' <"$1" | sed -n -e 's#\\\\/#/#g' -e 's/.*"keys":\\(\\[[^]]*]\\).*/&\\n\\1/' -e 's/.*"urls":\\(\\[[^]]*]\\).*\\n\\(.*\\)$/{"urls":\\1,"keys":\\2}/p'
`;
const enrolmentSchema = z.object({
  urls: z.array(z.string().max(300)).max(8),
  keys: z.array(z.string().max(128)).max(64),
});

/** Where Nextcloud cannot be asked; `null` when there is something that cannot be read. */
async function enrolmentByText(
  files: Transport,
  folder: string | null,
): Promise<Pick<Enrolment, 'keys' | 'urls'> | null> {
  if (folder === null) return null;
  try {
    if ((await files.stat(folder)) === null || (await files.stat(`${folder}/client.json`)) === null)
      return NOT_ENROLLED;
    const shown = await files.run(['sh', '-c', ENROLMENT, 'sh', `${folder}/client.json`]);
    return enrolmentSchema.parse(JSON.parse(shown.stdout.toString('utf8')));
  } catch (error) {
    if (isLatchkeyError(error, 'connection_lost')) throw error;
    return null;
  }
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

import * as z from 'zod';
import type { Occ } from '../actions/action.ts';
import { occJson } from '../occ.ts';
import type { Transport } from '../transports/transport.ts';

/** Settings the doctor has to know, and no others: none of them is a secret. */
const NAMES = [
  ...['instanceid', 'datadirectory', 'logfile', 'log_type', 'loglevel', 'debug', 'maintenance', 'version'],
  ...['integrity.check.disabled', 'updater.release.channel', 'remotekeystorage.dir', 'memcache.local'],
  ...['memcache.distributed', 'memcache.locking', 'overwrite.cli.url', 'session_lifetime'],
] as const;
type Name = (typeof NAMES)[number];

export interface Settings {
  /** `occ` is what Nextcloud itself works with; `text` what could be read of config.php where occ does not run. */
  readonly source: 'occ' | 'text';
  readonly system: Readonly<Partial<Record<Name, string | number | boolean>>>;
  /** Of the core app; empty where only text could be read. */
  readonly core: Readonly<Record<string, string>>;
}

const scalar = z.union([z.string(), z.number(), z.boolean()]);
const listSchema = z.object({
  system: z.record(z.string(), z.unknown()),
  apps: z.looseObject({ core: z.record(z.string(), z.unknown()).optional() }),
});

/** Asks occ, which masks secrets by itself; only the names above are kept. */
export async function settingsByOcc(occ: Occ): Promise<Settings> {
  const list = await occJson(occ, ['config:list'], listSchema);
  const system = NAMES.flatMap((name) => {
    const value = scalar.safeParse(list.system[name]);
    return value.success ? [[name, value.data] as const] : [];
  });
  const core = Object.entries(list.apps.core ?? {}).flatMap(([name, value]) =>
    ['string', 'number'].includes(typeof value) ? [[name, String(value)] as const] : [],
  );
  return { source: 'occ', system: Object.fromEntries(system), core: Object.fromEntries(core) };
}

const QUOTED_NAMES = NAMES.map((name) => name.replaceAll('.', '[.]')).join('|');
/** One plain value a line, as Nextcloud itself writes config.php. */
const LINE = `^[[:space:]]*'(${QUOTED_NAMES})'[[:space:]]*=>[[:space:]]*('[^'\\\\]*'|-?[0-9]+|true|false),[[:space:]]*$`;

/** grep picks those lines, so that the secrets beside them stay on the server. */
export async function settingsByText(transport: Transport, configFile: string): Promise<Settings> {
  const result = await transport.run(['grep', '-ahE', '-e', LINE, '--', configFile]);
  return { source: 'text', system: settingsIn(result.stdout.toString('utf8')), core: {} };
}

/** Pure half of `settingsByText`. A name that comes twice has its last value, as in PHP. */
export function settingsIn(text: string): Settings['system'] {
  const found: Partial<Record<Name, string | number | boolean>> = {};
  for (const line of text.split('\n')) {
    const match = /^\s*'([\w.]+)'\s*=>\s*(?:'([^'\\]*)'|(-?\d{1,15})|(true|false)),\s*$/.exec(line);
    const name = NAMES.find((candidate) => candidate === match?.[1]);
    if (match === null || name === undefined) continue;
    found[name] = match[2] ?? (match[3] === undefined ? match[4] === 'true' : Number(match[3]));
  }
  return found;
}

export function textOf(settings: Settings, name: Name): string | null {
  const value = settings.system[name];
  return typeof value === 'string' && value !== '' ? value : null;
}

/** As PHP would take it for a condition. */
export function flagOf(settings: Settings, name: Name): boolean {
  const value = settings.system[name];
  return value !== undefined && value !== false && value !== 0 && value !== '' && value !== '0' && value !== 'false';
}

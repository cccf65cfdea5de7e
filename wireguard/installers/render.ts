import { scriptText } from '../../platform/script-text.ts';
import type { Platform } from '../store/schema.ts';
import { powershellQuote, shQuote } from './quote.ts';

/** What a script is told of its hub and of the spoke that it makes. */
export interface InstallerValues {
  /** Base URL of the hub's API, without a slash at its end. */
  readonly hubUrl: string;
  /** `sha256//BASE64` of the hub's public key when its certificate is its own, else `''`. */
  readonly hubPin: string;
  /** Good for one registration. */
  readonly token: string;
  readonly spokeId: string;
  readonly spokeName: string;
  readonly hubName: string;
  /** What the interface is called on the spoke, unless whoever runs the script says otherwise. */
  readonly tunnel: string;
  /** How many members of its cluster the spoke may invite. */
  readonly members: number;
}

const folder = new URL('templates/', import.meta.url);
/** What a script for a machine of the network may be put together from, whatever it is for. */
export const SHARED_PARTS = new URL('parts/', folder);
const files = {
  linux: 'linux.sh',
  macos: 'macos.sh',
  proxmox: 'proxmox.sh',
  windows: 'windows.ps1',
} as const satisfies Record<Platform, string>;
const templates = new Map<Platform, string>();

/** The installer of one spoke: the same bytes for the same values. Its template is read when it is first asked for. */
export function installerText(platform: Platform, values: InstallerValues): string {
  const template = templates.get(platform) ?? wholeTemplate(platform);
  templates.set(platform, template);
  const assignments = platform === 'windows' ? powershellAssignments(values) : shAssignments(values);
  return template.replace(VALUES_LINE, () => assignments.join('\n'));
}

const VALUES_LINE = /^# @@values@@$/m;

/** The template with its parts in it. Throws TypeError when it has not exactly one place for the values. */
function wholeTemplate(platform: Platform): string {
  const text = scriptText(new URL(files[platform], folder), { folders: { part: SHARED_PARTS } });
  if (text.split(VALUES_LINE).length !== 2) throw new TypeError(`${files[platform]} needs one line "# @@values@@"`);
  return text;
}

function entries(values: InstallerValues): [string, string][] {
  return [
    ['hubUrl', values.hubUrl],
    ['hubPin', values.hubPin],
    ['token', values.token],
    ['spokeId', values.spokeId],
    ['spokeName', values.spokeName],
    ['hubName', values.hubName],
    ['tunnel', values.tunnel],
    ['members', String(values.members)],
  ];
}

/** `HUB_URL='…'` and so on. */
function shAssignments(values: InstallerValues): string[] {
  return entries(values).map(([name, value]) => `${name.replace(/[A-Z]/g, '_$&').toUpperCase()}=${shQuote(value)}`);
}

/** `$HubUrl = '…'` and so on. */
function powershellAssignments(values: InstallerValues): string[] {
  return entries(values).map(
    ([name, value]) => `$${name.charAt(0).toUpperCase()}${name.slice(1)} = ${powershellQuote(value)}`,
  );
}

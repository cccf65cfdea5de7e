import { readFileSync } from 'node:fs';
import { shQuote } from '../../../wireguard/installers/quote.ts';
import {
  dialFolder,
  hostKeyAlias,
  loginFolder,
  loginName,
  oldMark,
  type SshTunnelPlan,
  TUNNEL_FOLDER,
  writtenMark,
} from './ssh-tunnel-plan.ts';
import { DROP_IN_MARK, dropInPath, dropInText, effectiveSettings, loginMark } from './sshd-files.ts';

const read = (name: string): string => readFileSync(new URL(name, import.meta.url), 'utf8');
/** Read when they are first asked for. */
const parts = new Map<string, string>();
function part(name: string): string {
  const text = parts.get(name) ?? read(name);
  parts.set(name, text);
  return text;
}

/** Text for `sh -s`: what an end is told, what both have in common, and what it can do. No value is a secret. */
export function endScript(
  end: 'dialling' | 'dialled',
  plan: SshTunnelPlan,
  values: Readonly<Record<string, string>>,
): string {
  const all = { ...commonValues(plan), ...(end === 'dialled' ? dialledValues(plan) : diallingValues(plan)), ...values };
  const assignments = Object.entries(all).map(([name, value]) => `${name}=${shQuote(value)}\n`);
  return `# shellcheck disable=SC2034 # not each end needs each value\n${assignments.join('')}${part('common.sh')}${part(`${end}.sh`)}`;
}

const yesOrNo = (is: boolean): string => (is ? 'yes' : 'no');

function commonValues(plan: SshTunnelPlan): Record<string, string> {
  return {
    NAME: plan.name,
    INSTANCE: plan.instance,
    LOGIN: loginName(plan),
    ACCOUNT: plan.account,
    LISTEN: String(plan.listen),
    ALIAS: hostKeyAlias(plan),
    FOLDER: TUNNEL_FOLDER,
  };
}

function diallingValues(plan: SshTunnelPlan): Record<string, string> {
  return {
    OWN: dialFolder(plan),
    LISTENS: yesOrNo(plan.dials === 'server'),
    MARK: writtenMark(plan),
    OLD_MARK: oldMark(plan),
    ...Object.fromEntries(diallingLater.map((name) => [name, ''])),
  };
}

/** What is known once the end has been looked at. */
const diallingLater = [
  ...['INIT', 'UNIT', 'SERVICE_FILE', 'SERVICE_TEXT', 'SERVICE_MODE', 'KEEPER_FILE', 'KEEPER_TEXT', 'KEEPER_MODE'],
  ...['KNOWN_HOSTS', 'TRIAL'],
];

function dialledValues(plan: SshTunnelPlan): Record<string, string> {
  return {
    LOGINS: loginFolder(plan),
    LISTENS: yesOrNo(plan.dials === 'home'),
    LOGIN_MARK: loginMark(plan),
    DROPIN: dropInPath(plan),
    DROPIN_MARK: DROP_IN_MARK,
    DROPIN_TEXT: dropInText(plan).trimEnd(),
    EFFECTIVE: effectiveSettings(plan).join('\n'),
    LINE: '',
  };
}

import { printable } from '../../platform/printable.ts';
import { wrapped } from '../wrapped.ts';
import type { Agreement } from './agreement.ts';
import type { StepReport } from './run-steps.ts';
import type { StepName } from './setup-step.ts';
import type { DoctorVerdict } from './steps/doctor-step.ts';

/** What a setup has come to. */
export interface SetupOutcome {
  readonly steps: readonly StepReport[];
  /** Those that were not wanted from the first. */
  readonly skipped: readonly StepName[];
  readonly agreed: Agreement;
  readonly doctor: DoctorVerdict | null;
  /** `root@cloud.example:22`, `this machine`. */
  readonly server: string;
  readonly home: string;
  /** How ncpatch is told of the server: `--ssh root@cloud.example`. */
  readonly serverWords: string;
  readonly nextcloud: { readonly version: string; readonly root: string; readonly instanceId: string };
  readonly client: string;
  readonly clientId: string | null;
  /** `SHA256:…` of the key server's own authority. */
  readonly authority: string | null;
  readonly keys: readonly string[];
  readonly copyPath: string | null;
  readonly sheet: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** Of paper, and of most terminals. */
const WIDTH = 80;
const LABEL = 14;
/** Words of the server are part of it: they make no line of their own. */
const flat = (text: string): string => printable(text).replaceAll(/[\n\t]/g, '?');
const line = (label: string, text: string): string => wrapped(`${label.padEnd(LABEL)}${flat(text)}`, WIDTH, LABEL);
/** What is to be known or done; a command for it stands alone, so that it can be copied. */
const point = (text: string, command?: string): readonly string[] => [
  wrapped(`- ${flat(text)}`, WIDTH, 2),
  ...(command === undefined ? [] : [`    ${command}`]),
];
const marks: Readonly<Record<StepReport['outcome'], string>> = {
  present: 'was in place',
  done: 'done',
  declined: 'DECLINED',
  'left out': 'left out',
};

/** Pure: one page for whoever has just set it up, without a secret. */
export function summaryLines(outcome: SetupOutcome): readonly string[] {
  const { agreed, steps, nextcloud, server, home, keys } = outcome;
  const { wireguard, sshTunnel, keyServer } = agreed;
  const lines = [
    `Latchkey, ${new Date(outcome.at).toISOString().slice(0, 16).replace('T', ' ')} UTC`,
    '',
    line('Nextcloud', `${nextcloud.version} in ${nextcloud.root} on ${server} (${nextcloud.instanceId})`),
    line('key server', `${keyServer.urls.join(', ')} on ${home}, data in ${keyServer.data}`),
    line('client', `${outcome.client}${outcome.clientId === null ? ', not enrolled' : ` (${outcome.clientId})`}`),
    ...(outcome.authority === null ? [] : [line('authority', inHalves(outcome.authority))]),
    ...(wireguard === null ? [] : [line('WireGuard', wireguardWords(wireguard))]),
    ...(sshTunnel === null ? [] : [line('SSH tunnel', sshWords(sshTunnel))]),
    line('keys at home', keys.length === 0 ? 'none' : keys.join(', ')),
    ...(outcome.copyPath === null ? [] : [line('your copy', outcome.copyPath)]),
    line('doctor', doctorWords(outcome)),
    '',
    ...steps.map(({ title, outcome: state }) => line(marks[state], title)),
    '',
    ...nextLines(outcome),
  ];
  return lines.flatMap((one) => one.split('\n'));
}

function wireguardWords({ interface: name, homeAddress, serverAddress, dials, endpoint }: Wireguard): string {
  const dialled = dials === 'home' ? 'the home machine dials' : 'the server dials';
  return `${name}: ${homeAddress} at home, ${serverAddress} on the server; ${dialled} ${endpoint.host}, UDP ${endpoint.port}`;
}

function sshWords({ dials, endpoint, listen }: Ssh): string {
  const dialled = dials === 'home' ? 'the home machine dials' : 'the server dials';
  return `127.0.0.1:${listen} on the server; ${dialled} ${endpoint.host}, TCP ${endpoint.port}`;
}

/** Pure: a fingerprint in two parts, as it does not fit on one line, and is compared. */
export const inHalves = (fingerprint: string): string => fingerprint.replace(/^(.*?(?::..){16}:)/, '$1 ');

type Wireguard = NonNullable<Agreement['wireguard']>;
type Ssh = NonNullable<Agreement['sshTunnel']>;

function doctorWords({ doctor, serverWords }: SetupOutcome): string {
  if (doctor === null) return `not asked: ncpatch doctor ${serverWords}`;
  if (doctor.bad + doctor.warn === 0) return 'found nothing';
  return `${doctor.bad} bad, ${doctor.warn} to look at: ncpatch doctor ${serverWords}`;
}

function nextLines(outcome: SetupOutcome): readonly string[] {
  const { agreed, steps, copyPath, sheet, serverWords, doctor, keys } = outcome;
  const { data, keyfile, account } = agreed.keyServer;
  const keyserver = `sudo -u ${account} keyserver`;
  const hasKeyServer = isThere(steps, 'key-server');
  const byItself = isThere(steps, 'watch') ? ' (the watch does it by itself)' : '';
  const isLeft = steps.some(
    ({ name, outcome: state }) => (state === 'declined' || state === 'left out') && !outcome.skipped.includes(name),
  );
  return [
    'To do yet:',
    ...(isLeft ? point('what was declined or left out:', `ncpatch setup ${serverWords}`) : []),
    ...(doctor?.todo ?? []).flatMap((one) => point(`on the server: ${one}`)),
    ...(copyPath === null
      ? []
      : point(`take ${copyPath} to a place that is neither of the two machines; its passphrase to another`)),
    ...(keys.length === 0 ? [] : point(`print ${sheet}`)),
    ...(hasKeyServer ? keyServerPoints(keyserver, { data, keyfile }) : []),
    '',
    'From now on:',
    ...point(`after an upgrade of Nextcloud${byItself}:`, `ncpatch apply ${serverWords}`),
    ...point('how the server stands:', `ncpatch doctor ${serverWords}`),
    ...point('how the tunnel stands:', `ncpatch tunnel status ${serverWords}`),
    ...(hasKeyServer
      ? [
          ...point('how the key server stands, at home:', `${keyserver} status --data ${data}`),
          ...point('stop all releases at once, at home:', `${keyserver} kill --data ${data}`),
        ]
      : []),
    ...point('take all of it back:', `ncpatch teardown ${serverWords}`),
  ];
}

function keyServerPoints(
  keyserver: string,
  { data, keyfile }: { readonly data: string; readonly keyfile: string },
): readonly string[] {
  return [
    ...point(
      'have alerts reach you, at home (ntfy, Slack, Discord, Matrix, mail: "alert add --help" tells of them):',
      `${keyserver} alert add ntfy phone --data ${data} --keyfile ${keyfile}`,
    ),
    ...point(
      `the key file ${keyfile} opens the vault at boot: whoever takes the whole machine at home has both. A stick, a TPM or a passphrase instead: "Unseal" in the README of the key server`,
    ),
  ];
}

function isThere(steps: readonly StepReport[], name: StepName): boolean {
  return steps.some((one) => one.name === name && (one.outcome === 'present' || one.outcome === 'done'));
}

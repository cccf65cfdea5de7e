import type { Agreement } from './agreement.ts';
import type { StepReport } from './run-steps.ts';
import type { DoctorVerdict } from './steps/doctor-step.ts';

/** What a setup has come to. */
export interface SetupOutcome {
  readonly steps: readonly StepReport[];
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

const LABEL = 14;
const line = (label: string, text: string): string => `${label.padEnd(LABEL)}${text}`;
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
  return [
    `Latchkey, ${new Date(outcome.at).toISOString().slice(0, 16).replace('T', ' ')} UTC`,
    '',
    line('Nextcloud', `${nextcloud.version} in ${nextcloud.root} on ${server} (${nextcloud.instanceId})`),
    line('key server', `${keyServer.urls.join(', ')} on ${home}, data in ${keyServer.data}`),
    line('client', `${outcome.client}${outcome.clientId === null ? ', not enrolled' : ` (${outcome.clientId})`}`),
    ...(outcome.authority === null ? [] : [line('authority', outcome.authority)]),
    ...(wireguard === null ? [] : [line('WireGuard', wireguardWords(wireguard))]),
    ...(sshTunnel === null ? [] : [line('SSH tunnel', sshWords(sshTunnel))]),
    line('keys at home', keys.length === 0 ? 'none' : keys.join(', ')),
    ...(outcome.copyPath === null ? [] : [line('your copy', outcome.copyPath)]),
    line('doctor', doctorWords(outcome)),
    '',
    ...steps.map(({ title, outcome: state }) => `${marks[state].padEnd(LABEL)}${title}`),
    '',
    ...nextLines(outcome),
  ];
}

function wireguardWords({ interface: name, homeAddress, serverAddress, dials, endpoint }: Wireguard): string {
  const dialled = dials === 'home' ? 'the home machine dials' : 'the server dials';
  return `${name}: ${homeAddress} at home, ${serverAddress} on the server; ${dialled} ${endpoint.host}, UDP ${endpoint.port}`;
}

function sshWords({ dials, endpoint, listen }: Ssh): string {
  const dialled = dials === 'home' ? 'the home machine dials' : 'the server dials';
  return `127.0.0.1:${listen} on the server; ${dialled} ${endpoint.host}, TCP ${endpoint.port}`;
}

type Wireguard = NonNullable<Agreement['wireguard']>;
type Ssh = NonNullable<Agreement['sshTunnel']>;

function doctorWords({ doctor, serverWords }: SetupOutcome): string {
  if (doctor === null) return `not asked: ncpatch doctor ${serverWords}`;
  if (doctor.bad + doctor.warn === 0) return 'found nothing';
  return `${doctor.bad} bad, ${doctor.warn} to look at: ncpatch doctor ${serverWords}`;
}

function nextLines({ agreed, copyPath, sheet, serverWords, doctor }: SetupOutcome): readonly string[] {
  const { data, keyfile, account } = agreed.keyServer;
  const keyserver = `sudo -u ${account} keyserver`;
  return [
    'To do yet:',
    ...(doctor?.todo ?? []).map((one) => `- on the server: ${one}`),
    ...(copyPath === null
      ? []
      : [`- take ${copyPath} to a place that is neither of the two machines; its passphrase to another`]),
    `- print ${sheet}`,
    '- have alerts reach you, at home (ntfy, Slack, Discord, Matrix, mail: "alert add --help" tells of them):',
    `  ${keyserver} alert add ntfy phone --data ${data} --keyfile ${keyfile}`,
    `- the key file ${keyfile} opens the vault at boot: whoever takes the whole machine at home has both. A stick,`,
    '  a TPM or a passphrase instead: "Unseal" in the README of the key server',
    '',
    'From now on:',
    `- after an upgrade of Nextcloud   ncpatch apply ${serverWords}   (the watch does it by itself)`,
    `- how the server stands           ncpatch doctor ${serverWords}`,
    `- how the key server stands       ${keyserver} status --data ${data}   (at home)`,
    `- how the tunnel stands           ncpatch tunnel status ${serverWords}`,
    `- stop all releases at once       ${keyserver} kill --data ${data}   (at home)`,
    `- take all of it back             ncpatch teardown ${serverWords}`,
  ];
}

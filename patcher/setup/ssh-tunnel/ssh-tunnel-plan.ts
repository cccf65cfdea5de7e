import { authorityOf } from '../../../platform/listening/listen-address.ts';
import type { SetupContext } from '../setup-step.ts';

/** Everything of ours on either end is in here, in folders that anybody may look into: sshd reads as the account that logs in. */
export const TUNNEL_FOLDER = '/etc/latchkey-tunnel';

/** One tunnel, as both of its ends are told of it. */
export interface SshTunnelPlan {
  /** What the key server calls the Nextcloud: part of file names on both ends. */
  readonly name: string;
  /** Its id, as it was told when it was first met: it tells this tunnel from that of another Nextcloud with the same name. */
  readonly instance: string;
  /** On both ends: the one there logs in as the one here, and neither can do anything else. */
  readonly account: string;
  readonly dials: 'home' | 'server';
  /** The sshd that is dialled. */
  readonly endpoint: { readonly host: string; readonly port: number };
  /** Loopback port on the server. */
  readonly listen: number;
  /** `host:port` of the key server, as the machine at home reaches it. */
  readonly target: string;
  /** A line that was silent this long is asked, and after three such times it is dead. */
  readonly aliveSeconds: number;
  /** Between a line that is gone and the next try. */
  readonly retrySeconds: number;
}

/** A dead line holds the port at its end for up to eight times as long: sshd asks no sooner while somebody knocks at it meanwhile. */
const ALIVE_SECONDS = 5;
const RETRY_SECONDS = 5;

/** Pure: the tunnel that was agreed on. Throws TypeError where none was. */
export function sshTunnelPlanOf({
  config,
  agreed,
  memory,
}: Pick<SetupContext, 'config' | 'agreed' | 'memory'>): SshTunnelPlan {
  const { sshTunnel, keyServer } = agreed;
  if (sshTunnel === null) throw new TypeError('no SSH tunnel was agreed on');
  return {
    name: config.client,
    instance: memory.instanceId,
    ...sshTunnel,
    target: authorityOf(keyServer.listen.host, keyServer.listen.port),
    aliveSeconds: ALIVE_SECONDS,
    retrySeconds: RETRY_SECONDS,
  };
}

/** `127.0.0.1:8443`, on the server. */
export function listenAuthority({ listen }: SshTunnelPlan): string {
  return `127.0.0.1:${listen}`;
}

/** What the dialled end shows as its key is looked up under this name, whatever its address is by then. */
export function hostKeyAlias({ name }: SshTunnelPlan): string {
  return `latchkey-${name}`;
}

/** What the dialled end calls its login: last word of its line in the list. Those of before had the alias alone. */
export function loginName(plan: SshTunnelPlan): string {
  return `${hostKeyAlias(plan)}@${plan.instance}`;
}

/** On the dialling end: the private key, and by whom it may be used up. */
export function dialFolder({ name }: SshTunnelPlan): string {
  return `${TUNNEL_FOLDER}/dials/${name}`;
}

/** On the dialled end: who may log in as the account. */
export function loginFolder({ account }: SshTunnelPlan): string {
  return `${TUNNEL_FOLDER}/logins/${account}`;
}

/** First line of each file of ours outside of that folder. What is there without it is somebody else's, and left alone. */
export function writtenMark({ name, instance }: SshTunnelPlan): string {
  return `# written by ncpatch: SSH tunnel ${name} of ${instance}; "ncpatch teardown" takes it away`;
}

/** The same as it was before it said which Nextcloud's. */
export function oldMark({ name }: SshTunnelPlan): string {
  return `# written by ncpatch: SSH tunnel ${name}; "ncpatch teardown" takes it away`;
}

import { writeConfig } from '../config/write-config.ts';
import { type PeerJson, peerJson } from '../hub/peer-json.ts';
import type { MadePeer } from '../hub/peer-register.ts';
import { clientProgram } from '../obfuscation/clients.ts';
import { clientConfig } from '../peers/client-config.ts';
import type { HubInterface } from '../store/hub-interface.ts';
import type { RegistrationOrder } from './registration.ts';

/** Seconds that a first handshake may take: WireGuard tries again every five. */
const HANDSHAKE_WITHIN = 30;

/** A spoke as programs are told of it when it has registered. */
interface RegisteredSpoke extends PeerJson {
  readonly os: string;
  readonly proxmox: {
    readonly nodeName: string;
    readonly clusterName: string | null;
    readonly version: string | null;
  } | null;
}

/** The answer to a registration: the spoke, the facts of its tunnel, and these as a file of wg-quick without its private key. */
export function registrationJson(
  made: MadePeer,
  facts: HubInterface,
  hubName: string,
  { os, isProxmox, proxmoxNodeName, proxmoxClusterName, proxmoxVersion }: RegistrationOrder,
): object {
  const { peer, live } = made;
  const proxmox =
    isProxmox && proxmoxNodeName !== undefined
      ? { nodeName: proxmoxNodeName, clusterName: proxmoxClusterName ?? null, version: proxmoxVersion ?? null }
      : null;
  const spoke: RegisteredSpoke = { ...peerJson(peer), os, proxmox };
  const config = {
    interface: facts.name,
    address: peer.addresses,
    dns: facts.dns,
    mtu: facts.mtu,
    hubName,
    hubAddresses: hubAddresses(facts),
    hubPublicKey: facts.publicKey,
    endpoint: facts.endpoint,
    allowedIPs: facts.networks,
    persistentKeepalive: peer.keepalive,
    handshakeWithin: HANDSHAKE_WITHIN,
  };
  return { spoke, live, config, configText: configText(made, facts) };
}

/** The same for scripts that have no parser of JSON: facts as comments, then the file. */
export function registrationText(made: MadePeer, facts: HubInterface, hubName: string): string {
  const head = [
    ['spoke', made.peer.id],
    ['name', made.peer.name],
    ['hub', hubName],
    ...hubAddresses(facts).map((address) => ['hub-address', address]),
    ['handshake-within', String(HANDSHAKE_WITHIN)],
  ];
  return `${head.map(([name, value]) => `# ${name}: ${value}\n`).join('')}${configText(made, facts)}`;
}

/** Without their networks' lengths, IPv4 first. */
function hubAddresses({ addresses }: HubInterface): string[] {
  const plain = addresses.map((address) => address.replace(/\/\d+$/, ''));
  return [...plain.filter((address) => !address.includes(':')), ...plain.filter((address) => address.includes(':'))];
}

function configText({ peer: { addresses, keepalive } }: MadePeer, facts: HubInterface): string {
  const program = clientProgram('wireguard', 'platform');
  const client = { privateKey: null, presharedKey: null, addresses, keepalive, route: 'network', program } as const;
  return writeConfig(clientConfig(facts, client));
}

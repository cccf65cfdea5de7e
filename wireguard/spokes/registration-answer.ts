import { writeConfig } from '../config/write-config.ts';
import type { MadePeer } from '../hub/peer-register.ts';
import { clientProgram } from '../obfuscation/clients.ts';
import { clientConfig } from '../peers/client-config.ts';
import type { HubInterface } from '../store/hub-interface.ts';
import type { RegisteredSpoke } from './registration.ts';
import { spokeJson } from './spoke-json.ts';

/** Seconds that a first handshake may take: WireGuard tries again every five. */
const HANDSHAKE_WITHIN = 30;

/** The answer to a registration: the spoke, the facts of its tunnel, and these as a file of wg-quick without its private key. */
export function registrationJson(made: RegisteredSpoke, facts: HubInterface, hubName: string): object {
  const { peer, live } = made;
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
  return { spoke: spokeJson(made), live, config, configText: configText(made, facts) };
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

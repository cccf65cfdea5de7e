import { outerFamily } from '../config/endpoint.ts';
import type { LiveInterface, WantedPeer } from '../drivers/driver.ts';
import { publicKeyOf } from '../keys.ts';
import type { LinkChoice } from '../links/link-choice.ts';
import { isWireGuardLink, type LinkState } from '../links/link-state.ts';
import { LINK_MTU, tunnelMtu } from '../obfuscation/mtu.ts';
import type { Obfuscation } from '../obfuscation/parameters.ts';
import { differenceOf } from '../reconcile/difference.ts';
import type { InterfaceFacts } from '../store/interface-facts.ts';
import { type Finding, type Findings, findingsAbout, someOf } from './finding.ts';

/** An interface as the store has it and as it runs. */
export interface InterfaceLook {
  readonly facts: InterfaceFacts;
  /** `null` while the vault is closed. */
  readonly obfuscation: Obfuscation | null;
  /** How this machine makes and speaks to it; what to install where it cannot. */
  readonly choice: LinkChoice | { readonly missing: string };
  /** Whether whoever asks may look at interfaces. */
  readonly mayLook: boolean;
  readonly isHubRunning: boolean;
  readonly link: LinkState | null;
  readonly hasSocket: boolean;
  readonly live: LiveInterface | { readonly trouble: string };
  /** Whether a program holds its UDP port; `null` where that cannot be read. */
  readonly isPortTaken: boolean | null;
  /** What the store wants on it, by public key; without preshared keys while the vault is closed. */
  readonly wanted: ReadonlyMap<string, WantedPeer>;
  readonly hasSecrets: boolean;
  /** What its endpoint's name leads to; `null` when it leads nowhere. */
  readonly endpointAddresses: readonly string[] | null;
  /** The version of the tool that its driver uses; `null` where none is used. */
  readonly tool: { readonly name: string; readonly version: string | null } | null;
  /** Whether packets of each family are forwarded; `null` where that cannot be read. */
  readonly forwarding: { readonly 4: boolean | null; readonly 6: boolean | null };
}

/** Before it, `syncconf` kept a preshared key and a keepalive that a file had no more. */
const GOOD_TOOL = '1.0.20250521';

/** Pure: what of one interface has to be seen to. */
export function interfaceFindings(look: InterfaceLook): Finding[] {
  const about = findingsAbout(look.facts.name);
  const { choice } = look;
  const driver =
    'missing' in choice
      ? about.fault('driver', 'none', 'this machine cannot make the interface', `install ${choice.missing}`)
      : about.ok(
          'driver',
          `${choice.driver === 'uapi' ? `control socket of ${choice.program}` : choice.driver}: ${choice.why}`,
        );
  return [
    driver,
    ...linkFindings(look, about),
    ...liveFindings(look, about),
    ...toolFindings(look, about),
    ...forwardingFindings(look, about),
    endpointFinding(look, about),
  ];
}

function linkFindings(look: InterfaceLook, about: Findings): Finding[] {
  const { facts, link, hasSocket, isHubRunning } = look;
  const { name } = facts;
  if (link === null) {
    const fix = isHubRunning ? 'see the log of the hub; it tries again each minute' : 'wghub start';
    return [about.fault('interface', 'is not there', 'no peer reaches the hub', fix)];
  }
  if (!isWireGuardLink(link.kind, hasSocket)) {
    const fix = `ip -details link show ${name}; take it away, or give the hub's interface another name`;
    return [
      about.fault(
        'interface',
        `is no WireGuard but of kind ${link.kind}`,
        'the hub leaves it as it is and serves nobody',
        fix,
      ),
    ];
  }
  const found: Finding[] = [
    link.isUp
      ? about.ok('interface', 'is there, and up')
      : about.fault('interface', 'is down', 'no peer reaches the hub', `ip link set ${name} up`),
  ];
  const missing = facts.addresses.filter((one) => !link.addresses.includes(one));
  const more = link.addresses.filter((one) => !facts.addresses.includes(one));
  if (missing.length > 0) {
    const fix = `ip address add ${missing[0]} dev ${name}; a running hub does it within a minute`;
    found.push(
      about.fault('addresses', `${missing.join(', ')} missing`, 'peers do not reach the hub inside of the tunnel', fix),
    );
  } else if (more.length > 0) {
    const fix = `ip address delete ${more[0]} dev ${name}; a running hub does it within a minute`;
    found.push(about.warn('addresses', `${more.join(', ')} too many`, 'the hub answers where nobody expects it', fix));
  } else found.push(about.ok('addresses', facts.addresses.join(', ')));
  return [...found, mtuFinding(look, link, about)];
}

function mtuFinding({ facts, obfuscation }: InterfaceLook, { mtu }: LinkState, about: Findings): Finding {
  if (mtu === null) return about.unknown('mtu', 'could not be read');
  if (obfuscation === null && facts.level !== 'off') {
    return about.unknown('mtu', `${mtu}; what fits depends on the padding`, 'give the option that opens the vault');
  }
  const fits = tunnelMtu(obfuscation ?? {}, { mtu: LINK_MTU, family: outerFamily(facts.endpoint) });
  if (mtu <= fits) return about.ok('mtu', `${mtu}, and ${fits} would fit`);
  const why = 'large packets are cut or lost: peers connect, and pages do not load';
  return about.warn(
    'mtu',
    `${mtu}, where ${fits} fits`,
    why,
    `ip link set ${facts.name} mtu ${fits}, and the same in wghub’s config of it`,
  );
}

function liveFindings(look: InterfaceLook, about: Findings): Finding[] {
  const { facts, live, link, isPortTaken, mayLook, isHubRunning } = look;
  const fixByStart = isHubRunning ? 'wait a minute: the running hub mends it' : 'wghub start';
  const portTaken = (): Finding => {
    const why = 'the interface cannot listen, and no peer reaches it';
    return about.fault(
      'port',
      `${facts.listenPort} is taken by another program`,
      why,
      `ss -ulpn 'sport = :${facts.listenPort}'`,
    );
  };
  if ('trouble' in live) {
    if (!mayLook) return [about.unknown('peers', 'only root may look at them', 'run wghub doctor as root')];
    return [
      ...(link === null && isPortTaken === true ? [portTaken()] : []),
      ...(link === null ? [] : [about.fault('peers', live.trouble, 'what runs cannot be told or changed', fixByStart)]),
    ];
  }
  const found: Finding[] = [];
  if (live.listenPort === facts.listenPort) found.push(about.ok('port', `listens on ${facts.listenPort}`));
  else if (isPortTaken === true) found.push(portTaken());
  else {
    const words =
      live.listenPort === 0 ? 'does not listen' : `listens on ${live.listenPort} and not on ${facts.listenPort}`;
    found.push(about.fault('port', words, 'peers call where nobody answers', fixByStart));
  }
  return [...found, ...peerDifference(look, live, about, fixByStart)];
}

function peerDifference(look: InterfaceLook, live: LiveInterface, about: Findings, fix: string): Finding[] {
  const { facts, wanted, hasSecrets } = look;
  const found: Finding[] = [];
  const ownKey = live.privateKey === null ? null : publicKeyOf(live.privateKey);
  if (ownKey !== facts.publicKey) {
    found.push(about.fault('key', 'is not the one of the store', 'no peer can make a handshake', fix));
  }
  const seen = hasSecrets ? live : { ...live, peers: withoutSecrets(live, wanted) };
  const device = { privateKey: live.privateKey ?? '', listenPort: live.listenPort, fwMark: live.fwMark };
  const { change, foreign } = differenceOf(device, wanted, seen, { policy: 'adopt', retired: new Set() });
  const count = change.set.length;
  const peers = (number: number): string => `${number} ${number === 1 ? 'peer' : 'peers'}`;
  found.push(
    count === 0
      ? about.ok('peers', `${peers(wanted.size)} as in the store`)
      : about.fault(
          'peers',
          `${peers(count)} of ${wanted.size} are not as in the store`,
          'they cannot reach what they should',
          fix,
        ),
  );
  if (foreign.length > 0) {
    const why = 'somebody else gives access to this network';
    const first = `wg set ${facts.name} peer ${foreign[0]} remove`;
    found.push(
      about.warn('foreign peers', `${foreign.length} that the store does not know: ${someOf(foreign)}`, why, first),
    );
  }
  return found;
}

/** While the vault is closed it is not known what their preshared keys should be. */
function withoutSecrets(live: LiveInterface, wanted: ReadonlyMap<string, WantedPeer>): LiveInterface['peers'] {
  return new Map(
    [...live.peers].map(([key, peer]) => [key, { ...peer, presharedKey: wanted.get(key)?.presharedKey ?? null }]),
  );
}

function toolFindings({ tool }: InterfaceLook, about: Findings): Finding[] {
  if (tool === null) return [];
  const { name, version } = tool;
  if (version === null) return [about.unknown('tool', `${name} does not tell its version`)];
  if (version >= GOOD_TOOL) return [about.ok('tool', `${name} ${version}`)];
  const why = `syncconf of it keeps a preshared key and a keepalive that a file has no more: wghub clears them, a script with ${name} syncconf does not`;
  return [
    about.warn(
      'tool',
      `${name} ${version} is older than ${GOOD_TOOL}`,
      why,
      `install a newer ${name === 'wg' ? 'wireguard-tools' : 'amneziawg-tools'}`,
    ),
  ];
}

/** Only where there are two peers who could want to reach each other. */
function forwardingFindings({ facts, forwarding, wanted }: InterfaceLook, about: Findings): Finding[] {
  if (wanted.size < 2) return [];
  const families = ([4, 6] as const).filter((one) => facts.networks.some((text) => text.includes(':') === (one === 6)));
  return families.map((family) => {
    const [check, key] =
      family === 4 ? ['forwarding', 'net.ipv4.ip_forward'] : ['forwarding of IPv6', 'net.ipv6.conf.all.forwarding'];
    if (forwarding[family] === null) return about.unknown(check, `${key} could not be read`);
    if (forwarding[family]) return about.ok(check, 'is on');
    const fix = `sysctl -w ${key}=1, and a line of it in /etc/sysctl.d/wghub.conf`;
    return about.warn(check, 'is off', 'peers reach the hub and not each other', fix);
  });
}

function endpointFinding({ facts, endpointAddresses }: InterfaceLook, about: Findings): Finding {
  if (endpointAddresses === null) {
    const why = 'peers find the hub by it';
    return about.fault(
      'endpoint',
      `${facts.endpoint} leads nowhere`,
      why,
      'make the name in the DNS, or set another endpoint',
    );
  }
  return about.ok(
    'endpoint',
    `${facts.endpoint}${endpointAddresses.length === 0 ? '' : `, ${someOf(endpointAddresses)}`}`,
  );
}

import { CONFINED_NODE, homeProtection } from '../../platform/confinement.ts';
import { MAIN_FILE } from '../../platform/program-place.ts';
import { assertPlainWords, commandLine, quoted, specifiersEscaped } from '../../platform/service-text.ts';
import type { ServiceCredential } from '../../platform/vault/unseal-words.ts';

/** What the unit of a hub has to know. Paths are absolute. */
export interface HubUnitFacts {
  /** The Node that runs it. */
  readonly node: string;
  /** The clone. */
  readonly root: string;
  readonly data: string;
  /** Where a running hub keeps exports of its interfaces; `null` for nowhere. */
  readonly exportFolder: string | null;
  /** Where its API listens. */
  readonly port: number;
  /** What it reads besides: a certificate and its key that somebody else renews. */
  readonly reads: readonly string[];
  /** How it opens the vault with nobody there, as on the command line. */
  readonly unseal: readonly string[];
  readonly credential: ServiceCredential | null;
}

/** As the launcher starts a hub. */
export const hubNodeOptions: readonly string[] = ['--disable-warning=ExperimentalWarning', '--max-semi-space-size=8'];

/**
 * A systemd unit (systemd.exec(5)) that starts the hub at boot: root without any right but the one over networks, and over low ports
 * where it listens on one. What it starts in user space is the interface itself, so that only the hub is ended with it.
 */
export function hubUnit(facts: HubUnitFacts): string {
  const { node, root, data, exportFolder, port, reads, unseal, credential } = facts;
  assertPlainWords([node, root, data, exportFolder ?? '', ...unseal, credential?.file ?? '']);
  const words = [...hubNodeOptions, `${root}/wireguard/${MAIN_FILE}`, 'start', '--data', data, ...unseal];
  const written = [data, ...(exportFolder === null ? [] : [exportFolder])].map(quoted).join(' ');
  const rights = ['CAP_NET_ADMIN', ...(port < 1024 ? ['CAP_NET_BIND_SERVICE'] : [])].join(' ');
  return `[Unit]
Description=Latchkey hub of a WireGuard network
After=network-pre.target nss-lookup.target
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=${commandLine(node, words)}
WorkingDirectory=${specifiersEscaped(root)}
UMask=0077
Environment=MALLOC_ARENA_MAX=1
${credential === null ? '' : `LoadCredentialEncrypted=${credential.name}:${specifiersEscaped(credential.file)}\n`}Restart=on-failure
RestartSec=5
# used wrongly, or refused because it would be unsafe: trying again changes nothing
RestartPreventExitStatus=2 3
# wireguard-go is the interface: it goes on without the hub, and nobody is cut off by a restart
KillMode=process
TimeoutStopSec=20

${CONFINED_NODE}
# what it may do
CapabilityBoundingSet=${rights}
DevicePolicy=closed
DeviceAllow=/dev/net/tun rw
# what it may write; the runtime directories hold the control sockets of wireguard-go and amneziawg-go
ReadWritePaths=${written}
RuntimeDirectory=wireguard amneziawg
RuntimeDirectoryMode=0700
RuntimeDirectoryPreserve=yes
ProtectHome=${homeProtection([node, root, data, ...reads, ...unseal])}
MemorySwapMax=0
# netlink makes addresses and routes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK

[Install]
WantedBy=multi-user.target
`;
}

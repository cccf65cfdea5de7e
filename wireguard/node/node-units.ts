import { CONFINED_NODE } from '../../platform/confinement.ts';
import { MAIN_FILE } from '../../platform/program-place.ts';
import { assertPlainWords, commandLine, specifiersEscaped } from '../../platform/service-text.ts';

/** What the units of a node have to know. Paths are absolute. */
export interface NodeUnitFacts {
  /** The Node that runs them. */
  readonly node: string;
  /** The clone. */
  readonly root: string;
  /** `10.0.1.5:8000` */
  readonly listen: string;
  /** Interfaces that are to be there; none for all that are. */
  readonly interfaces: readonly string[];
}

/** Whom the service runs as; its group may read what was seen. */
export const NODE_USER = 'latchkey-node';
const FOLDER = 'latchkey-node';
export const LOOK_FILE = `/run/${FOLDER}/look.json`;

/**
 * Two systemd units (systemd.exec(5)): one looks, with the one right that takes, and speaks to nobody; the other answers, as a user without any.
 */
export function nodeUnits({ node, root, listen, interfaces }: NodeUnitFacts): Readonly<Record<string, string>> {
  assertPlainWords([node, root, listen, ...interfaces]);
  const program = [`${root}/wireguard/node/${MAIN_FILE}`];
  const only = interfaces.length === 0 ? [] : ['--interface', ...interfaces];
  const look = commandLine(node, [
    '--disable-warning=ExperimentalWarning',
    ...program,
    'look',
    '--file',
    LOOK_FILE,
    '--every',
    '10',
    ...only,
  ]);
  const serve = commandLine(node, [
    '--disable-warning=ExperimentalWarning',
    ...program,
    'start',
    '--file',
    LOOK_FILE,
    '--listen',
    listen,
  ]);
  return {
    'latchkey-node-look.service': `[Unit]
Description=Latchkey: looks at the WireGuard interfaces of this machine
After=network.target
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=${look}
WorkingDirectory=${specifiersEscaped(root)}
Group=${NODE_USER}
UMask=0027
Restart=on-failure
RestartSec=5
# what "wg show" takes, and what the sockets of wireguard-go take
CapabilityBoundingSet=CAP_NET_ADMIN CAP_DAC_OVERRIDE
RuntimeDirectory=${FOLDER}
RuntimeDirectoryMode=0750
RestrictAddressFamilies=AF_UNIX AF_NETLINK AF_INET AF_INET6
IPAddressDeny=any
${CONFINED_NODE}
ProtectHome=read-only

[Install]
WantedBy=multi-user.target
`,
    'latchkey-node.service': `[Unit]
Description=Latchkey: tells how this node of the private network is
After=latchkey-node-look.service
Wants=latchkey-node-look.service
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=${serve}
WorkingDirectory=${specifiersEscaped(root)}
User=${NODE_USER}
UMask=0077
Restart=on-failure
RestartSec=5
RestartPreventExitStatus=2 3
CapabilityBoundingSet=
PrivateDevices=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
${CONFINED_NODE}
ProtectHome=read-only

[Install]
WantedBy=multi-user.target
`,
  };
}

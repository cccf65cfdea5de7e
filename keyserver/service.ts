import { LatchkeyError } from '../platform/errors.ts';
import { MAIN_FILE } from '../platform/program-place.ts';
import { propertyList } from '../platform/property-list.ts';
import { assertPlainWords, commandLine, quoted, specifiersEscaped, xml } from '../platform/service-text.ts';
import type { ServiceCredential } from '../platform/vault/unseal-words.ts';

export const servicePlatforms = ['linux', 'macos', 'windows'] as const;
export type ServicePlatform = (typeof servicePlatforms)[number];

/** What a service has to know. Paths are absolute, in the platform's own spelling. */
export interface ServiceFacts {
  /** The Node that runs it. */
  readonly node: string;
  /** The clone. */
  readonly root: string;
  readonly data: string;
  /** The account it runs as. */
  readonly user: string;
  /** How it opens the vault with nobody there, as on the command line: `['--keyfile', '/media/key']`. */
  readonly unseal: readonly string[];
  /** The encrypted credential that systemd loads, with its name; Linux only. */
  readonly credential: ServiceCredential | null;
}

/** As the launcher starts a server: small heaps, kept small. */
export const serverNodeOptions: readonly string[] = [
  '--disable-warning=ExperimentalWarning',
  '--max-semi-space-size=8',
  '--max-old-space-size=64',
];

/** The text of the platform's service file. */
export function serviceText(platform: ServicePlatform, facts: ServiceFacts): string {
  assertPlainWords([facts.node, facts.root, facts.data, facts.user, ...facts.unseal, facts.credential?.file ?? '']);
  if (platform === 'linux') return systemdUnit(facts);
  return platform === 'macos' ? launchdPlist(facts) : winswService(facts);
}

function argumentsOf({ root, data, unseal }: ServiceFacts, separator: '/' | '\\'): readonly string[] {
  const main = [root, 'keyserver', MAIN_FILE].join(separator);
  return [...serverNodeOptions, main, 'start', '--data', data, ...unseal];
}

/** systemd.exec(5). Directives that a program with a just-in-time compiler cannot live with are named and left out. */
function systemdUnit(facts: ServiceFacts): string {
  const command = commandLine(facts.node, argumentsOf(facts, '/'));
  const inHome = [facts.node, facts.root, facts.data, ...facts.unseal].some((path) =>
    /^\/(home|root|run\/user)\//.test(path),
  );
  const credential = facts.credential;
  return `[Unit]
Description=Latchkey key server
After=network.target
# no interface is named: the server waits for its WireGuard address by itself, and for its return
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=${command}
WorkingDirectory=${specifiersEscaped(facts.root)}
User=${facts.user}
UMask=0077
Environment=MALLOC_ARENA_MAX=1 ${quoted(`NODE_COMPILE_CACHE=${facts.root}/.cache/compiled`)}
${credential === null ? '' : `LoadCredentialEncrypted=${credential.name}:${specifiersEscaped(credential.file)}\n`}Restart=on-failure
RestartSec=5
# used wrongly, or refused because it would be unsafe: trying again changes nothing
RestartPreventExitStatus=2 3
TimeoutStopSec=20

# what it may write
ProtectSystem=strict
ReadWritePaths=${quoted(facts.data)}
ProtectHome=${inHome ? 'read-only' : 'yes'}
PrivateTmp=yes
# keys stay in memory: no core dump, no swap
LimitCORE=0
MemorySwapMax=0

NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
PrivateDevices=yes
PrivateMounts=yes
DevicePolicy=closed
PrivateUsers=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProcSubset=pid
KeyringMode=private
LockPersonality=yes
RemoveIPC=yes
# netlink tells which interface carries the address
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
# not MemoryDenyWriteExecute: Node writes machine code as it runs

[Install]
WantedBy=multi-user.target
`;
}

/** launchd.plist(5). */
function launchdPlist(facts: ServiceFacts): string {
  return propertyList({
    Label: 'latchkey.keyserver',
    ProgramArguments: [facts.node, ...argumentsOf(facts, '/')],
    WorkingDirectory: facts.root,
    UserName: facts.user,
    Umask: 0o077,
    RunAtLoad: true,
    KeepAlive: true,
    ThrottleInterval: 10,
    ExitTimeOut: 20,
    HardResourceLimits: { Core: 0 },
    StandardErrorPath: `${facts.data}/keyserver.log`,
  });
}

/** WinSW's service file (github.com/winsw/winsw). */
function winswService(facts: ServiceFacts): string {
  const command = argumentsOf(facts, '\\').map(windowsWord).join(' ');
  return `<service>
  <!-- not tried on Windows by its makers: there the server takes a loopback address only, and file modes tell it nothing -->
  <id>latchkey-keyserver</id>
  <name>Latchkey key server</name>
  <description>Keeps the keys of Nextcloud servers and releases them through gates</description>
  <executable>${xml(facts.node)}</executable>
  <arguments>${xml(command)}</arguments>
  <workingdirectory>${xml(facts.root)}</workingdirectory>
  <serviceaccount>
    <username>${xml(facts.user)}</username>
  </serviceaccount>
  <startmode>Automatic</startmode>
  <onfailure action="restart" delay="10 sec"/>
  <stoptimeout>20 sec</stoptimeout>
  <log mode="roll"/>
</service>
`;
}

/** As CommandLineToArgvW takes it apart: backslashes count only before a quote. WinSW expands %NAME% and cannot be told not to. */
function windowsWord(text: string): string {
  if (text.includes('%')) {
    throw new LatchkeyError('invalid_request', 'a Windows service cannot hold a path with a percent sign', { exit: 2 });
  }
  return `"${text.replace(/(\\*)"/g, '$1$1\\"').replace(/(\\+)$/, '$1$1')}"`;
}

import { CONFINED_NODE, homeProtection } from '../platform/confinement.ts';
import { LatchkeyError } from '../platform/errors.ts';
import { MAIN_FILE } from '../platform/program-place.ts';
import { propertyList } from '../platform/property-list.ts';
import { assertPlainWords, commandLine, quoted, specifiersEscaped } from '../platform/service-text.ts';
import type { ServiceCredential } from '../platform/vault/unseal-words.ts';

export const servicePlatforms = ['linux', 'macos', 'windows'] as const;
export type ServicePlatform = (typeof servicePlatforms)[number];

/** What a service has to know. Paths are absolute. */
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
  /** Of WSL; Windows only. */
  readonly distribution: string;
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
  return platform === 'macos' ? launchdPlist(facts) : windowsTask(facts);
}

function argumentsOf({ root, data, unseal }: ServiceFacts): readonly string[] {
  return [...serverNodeOptions, `${root}/keyserver/${MAIN_FILE}`, 'start', '--data', data, ...unseal];
}

/** systemd.exec(5). Directives that a program with a just-in-time compiler cannot live with are named and left out. */
function systemdUnit(facts: ServiceFacts): string {
  const command = commandLine(facts.node, argumentsOf(facts));
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

${CONFINED_NODE}
# what it may write
ReadWritePaths=${quoted(facts.data)}
ProtectHome=${homeProtection([facts.node, facts.root, facts.data, ...facts.unseal])}
# keys stay in memory: no swap, as there is no core dump
MemorySwapMax=0
CapabilityBoundingSet=
AmbientCapabilities=
PrivateDevices=yes
PrivateMounts=yes
DevicePolicy=closed
PrivateUsers=yes
ProtectProc=invisible
ProcSubset=pid
RemoveIPC=yes
# netlink tells which interface carries the address
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
SystemCallFilter=~@privileged @resources

[Install]
WantedBy=multi-user.target
`;
}

/** launchd.plist(5). The log is where the account may write; launchd opens it to append, so that it may be emptied at any time. */
function launchdPlist(facts: ServiceFacts): string {
  return propertyList({
    Label: 'latchkey.keyserver',
    ProgramArguments: [facts.node, ...argumentsOf(facts)],
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

/**
 * A task for Windows' own scheduler. The server itself runs in WSL 2, started by the systemd there; Windows only has to start that
 * Linux with nobody logged in, and to keep it. Of the two wsl.exe only this one works without a session (microsoft/WSL issue 9231).
 * Plain ASCII and no XML declaration, so that it is taken in whatever encoding it comes.
 */
function windowsTask({ distribution }: ServiceFacts): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(distribution)) {
    throw new LatchkeyError('invalid_request', '"--distribution" must be the name of a WSL distribution', {
      exit: 2,
      field: '--distribution',
    });
  }
  return `<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <!-- not tried on Windows by its makers; the service of the key server is within the distribution -->
  <RegistrationInfo>
    <Description>Starts the Linux in which the Latchkey key server runs, and keeps it</Description>
  </RegistrationInfo>
  <Triggers>
    <BootTrigger>
      <Enabled>true</Enabled>
    </BootTrigger>
  </Triggers>
  <Principals>
    <Principal id="Owner">
      <LogonType>Password</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <StartWhenAvailable>true</StartWhenAvailable>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <RestartOnFailure>
      <Interval>PT1M</Interval>
      <Count>999</Count>
    </RestartOnFailure>
  </Settings>
  <Actions Context="Owner">
    <Exec>
      <Command>%ProgramFiles%\\WSL\\wsl.exe</Command>
      <Arguments>--distribution ${distribution} --exec /usr/bin/sleep infinity</Arguments>
    </Exec>
  </Actions>
</Task>
`;
}

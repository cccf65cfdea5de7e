/** What a unit of systemd is kept from, whatever it does (systemd.exec(5)). A unit adds what it can do without besides. */
const ALWAYS = `NoNewPrivileges=yes
ProtectSystem=strict
PrivateTmp=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
KeyringMode=private
LimitCORE=0
LockPersonality=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM`;

/** Of a unit whose program is machine code, or a shell. */
export const CONFINED = `${ALWAYS}
MemoryDenyWriteExecute=yes`;

/** Of a unit that runs Node. */
export const CONFINED_NODE = `${ALWAYS}
# not MemoryDenyWriteExecute: Node writes machine code as it runs`;

/** The value of ProtectHome= for a unit that names these paths, and writes to none of them but by ReadWritePaths=. */
export function homeProtection(paths: readonly string[]): 'read-only' | 'yes' {
  return paths.some((path) => /^\/(home|root|run\/user)\//.test(path)) ? 'read-only' : 'yes';
}

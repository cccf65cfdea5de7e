import { showTime } from '../../platform/command-io.ts';
import type { Invitation } from '../spokes/invitations.ts';
import { PLATFORMS, type Platform } from '../store/schema.ts';
import { bareAddress } from './peer-words.ts';

/** Where a command is pasted. */
const WHERE: Readonly<Record<Platform, string>> = {
  linux: 'Linux, in a terminal',
  macos: 'macOS, in the Terminal',
  windows: 'Windows, in PowerShell as administrator',
  proxmox: 'Proxmox VE, in a shell of root on the node',
};

/** What is shown of an invitation: lines that may be pasted as they stand, the rest is comments to every shell. */
export function invitationText({ token, installers }: Invitation): string {
  const { spokeName, addresses, interface: on, expiresAt, members } = token;
  const blocks = PLATFORMS.flatMap((platform) => {
    const notice = installers[platform];
    if (notice === undefined) return [];
    const isClustered = platform === 'proxmox' && members > 0;
    return [
      `# ${WHERE[platform]}:`,
      notice.command,
      '',
      ...(isClustered
        ? [
            `# and invites the other nodes of its cluster, ${members} at the most:`,
            `${notice.command} -s -- --cluster`,
            '',
          ]
        : []),
      `# ${WHERE[platform]}, looking at the script's SHA-256 and signature before it runs:`,
      notice.verifiedCommand,
      '',
    ];
  });
  const head = [
    `# ${spokeName} gets ${addresses.map(bareAddress).join(', ')} on ${on}.`,
    `# One of these commands, once, until ${showTime(expiresAt)}: it installs WireGuard, makes a key that`,
    '# stays there, brings the tunnel up, also after a restart, and undoes it all when a step fails.',
  ];
  return `${[...head, '', ...blocks].join('\n')}`;
}

import { LatchkeyError } from '../../platform/errors.ts';
import { authorityOf } from '../../platform/listening/listen-address.ts';
import { parseSshTarget } from '../transports/ssh-target.ts';
import type { Agreement, SshTunnelAgreement, WireGuardAgreement } from './agreement.ts';
import type { HomePlatform } from './home-machine.ts';
import type { ChosenNetwork } from './network-choice.ts';
import type { SetupConfig } from './setup-config.ts';

/** The account at the dialled end of an SSH tunnel. */
const TUNNEL_ACCOUNT = 'latchkey-tunnel';

/**
 * Settles addresses, ports and names. What an earlier run has settled stays, as the machines have it; `choose` is asked for a
 * network when there is none yet. Throws `setup_invalid` (exit 2) for what only the owner can tell.
 */
export async function agree(
  config: SetupConfig,
  platform: HomePlatform,
  earlier: Agreement | null,
  choose: () => Promise<ChosenNetwork>,
): Promise<Agreement> {
  const wireguard = config.transport === 'ssh' ? null : await wireguardFor(config, earlier?.wireguard ?? null, choose);
  const sshTunnel = config.transport === 'wireguard' ? null : sshTunnelFor(config);
  return { wireguard, sshTunnel, keyServer: keyServerFor(config, platform, wireguard, sshTunnel) };
}

async function wireguardFor(
  { wireguard: wish, server }: SetupConfig,
  earlier: WireGuardAgreement | null,
  choose: () => Promise<ChosenNetwork>,
): Promise<WireGuardAgreement> {
  const isSame = earlier !== null && (wish.network === undefined || wish.network === earlier.network);
  const { network, homeAddress, serverAddress } = isSame ? earlier : await choose();
  const host = wish.endpoint ?? dialledHost(wish.dials, server.ssh, 'wireguard.endpoint');
  return {
    interface: wish.interface,
    network,
    homeAddress,
    serverAddress,
    dials: wish.dials,
    endpoint: { host, port: wish.port },
  };
}

function sshTunnelFor({ sshTunnel: wish, server }: SetupConfig): SshTunnelAgreement {
  const login = wish.dials === 'home' && server.ssh !== undefined ? parseSshTarget(server.ssh) : null;
  const host = wish.endpoint ?? dialledHost(wish.dials, server.ssh, 'sshTunnel.endpoint');
  const port = wish.port ?? (wish.endpoint === undefined ? login?.port : undefined) ?? 22;
  return { dials: wish.dials, endpoint: { host, port }, account: TUNNEL_ACCOUNT, listen: wish.listen };
}

/** The server is found where ncpatch finds it; a home is not. */
function dialledHost(dials: 'home' | 'server', ssh: string | undefined, field: string): string {
  if (dials === 'home' && ssh !== undefined) return parseSshTarget(ssh).host;
  throw new LatchkeyError(
    'setup_invalid',
    `"${field}" must say where the ${dials === 'home' ? 'server' : 'machine at home'} is found by the other`,
    { exit: 2, field, hint: 'a name or an address; a name whose address changes is looked up again' },
  );
}

const FOLDERS: Readonly<Record<HomePlatform, string>> = { linux: '/var/lib/latchkey', macos: '/var/db/latchkey' };

function keyServerFor(
  { keyServer: wish }: SetupConfig,
  platform: HomePlatform,
  wireguard: WireGuardAgreement | null,
  sshTunnel: SshTunnelAgreement | null,
): Agreement['keyServer'] {
  const host = wireguard?.homeAddress ?? '127.0.0.1';
  const listen = { host, port: wish.port };
  return {
    listen,
    hosts: [...new Set([host, '127.0.0.1', 'localhost'])],
    urls: [
      ...(wireguard === null ? [] : [`https://${authorityOf(wireguard.homeAddress, wish.port)}`]),
      ...(sshTunnel === null ? [] : [`https://127.0.0.1:${sshTunnel.listen}`]),
    ],
    // what comes by ssh comes from the home machine itself
    from: [
      ...(wireguard === null ? [] : [`${wireguard.serverAddress}/32`]),
      ...(sshTunnel === null ? [] : [`${host}/32`]),
    ],
    data: wish.data ?? `${FOLDERS[platform]}/keys`,
    keyfile: wish.keyfile ?? `${wish.data ?? `${FOLDERS[platform]}/keys`}.keyfile`,
    account: wish.account,
  };
}

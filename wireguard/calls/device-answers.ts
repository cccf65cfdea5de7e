import type { AppResponse } from '../../platform/http-app.ts';
import { QR_MOST_BYTES, qrDataUrl } from '../../platform/qr-code.ts';
import { parseEndpoint } from '../config/endpoint.ts';
import type { LiveInterface } from '../drivers/driver.ts';
import type { ClientProgram } from '../obfuscation/clients.ts';
import { versionNeeded } from '../obfuscation/parameters.ts';
import { configFileName } from '../peers/file-name.ts';
import type { HubInterface } from '../store/hub-interface.ts';
import type { Peer } from '../store/peers.ts';

export interface MadeDevice {
  readonly peer: Peer;
  /** The file, with the private key that nobody is told again. */
  readonly config: string;
  readonly program: ClientProgram;
  /** False when the interface could not be told of it yet. */
  readonly live: boolean;
  readonly serverName: string;
}

/** A new device, for the backend that asked for it. */
export async function madeAnswer({ peer, config, program, live, serverName }: MadeDevice): Promise<AppResponse> {
  const [first = '', second] = peer.addresses.map(bare);
  const length = Buffer.byteLength(config);
  const fits = length <= QR_MOST_BYTES;
  return {
    status: 201,
    body: {
      success: true,
      config,
      assigned_ip: first,
      ...(second === undefined ? {} : { assigned_ip6: second }),
      public_key: peer.publicKey,
      qr_code: fits ? await qrDataUrl(config) : null,
      ...(fits ? {} : { qr_reason: `the configuration has ${length} bytes, and a QR code holds ${QR_MOST_BYTES}` }),
      server_name: serverName,
      client: program.name,
      live,
    },
  };
}

/** How a configuration is saved: some phones cannot save what ends with `.conf`. */
export type Download = 'txt' | 'conf';

/** The configuration alone, to be saved; the key that the backend needs to remove the device again is in a header. */
export function fileAnswer({ peer, config }: MadeDevice, download: Download): AppResponse {
  const name = download === 'txt' ? 'config.txt' : configFileName(peer.name);
  return {
    status: 201,
    body: config,
    headers: {
      'Content-Type': 'text/plain; charset=utf-8',
      'Content-Disposition': `attachment; filename="${name}"`,
      'Cache-Control': 'no-store',
      'X-Public-Key': peer.publicKey,
    },
  };
}

/** A device with what the interface showed of it at the last look. */
export function listedDevice(peer: Peer, live: LiveInterface): Readonly<Record<string, unknown>> {
  const seen = live.peers.get(peer.publicKey);
  return {
    public_key: peer.publicKey,
    user_id: peer.owner,
    device_name: peer.name,
    status: peer.status,
    endpoint: seen?.endpoint ?? null,
    allowed_ips: seen?.allowedIPs ?? [],
    last_handshake: typeof seen?.lastHandshake === 'number' ? new Date(seen.lastHandshake).toISOString() : null,
    transfer_rx: seen?.rx ?? 0,
    transfer_tx: seen?.tx ?? 0,
  };
}

/** What a backend has to know of an interface to choose it. */
export function serverInfo(
  { name, endpoint, publicKey, dns, networks, obfuscation }: HubInterface,
  server: { readonly name: string; readonly isUp: boolean; readonly free: number },
): Readonly<Record<string, unknown>> {
  const { host, port } = parseEndpoint(endpoint, 'endpoint');
  return {
    name: server.name,
    status: server.isUp ? 'online' : 'degraded',
    interface: name,
    ip: host,
    port,
    public_key: publicKey,
    dns,
    networks,
    free_addresses: server.free,
    amneziawg: versionNeeded(obfuscation),
  };
}

function bare(address: string): string {
  return address.replace(/\/.*$/, '');
}

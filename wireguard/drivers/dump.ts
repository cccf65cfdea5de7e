import { LatchkeyError } from '../../platform/errors.ts';
import { formatPrefix, parsePrefix } from '../address/prefix.ts';
import { type LiveInterface, type LivePeer, sortedNetworks } from './driver.ts';

/**
 * What `wg show IF dump` prints: a line for the interface (private key, public key, port, mark), then one for each peer
 * (public key, preshared key, endpoint, networks, handshake in seconds, rx, tx, keepalive), with tabs between. `awg` has more
 * columns in the first line, and passes a range for the keepalive.
 */
export function parseDump(text: string): LiveInterface {
  const [first = '', ...rest] = text.split('\n').filter((line) => line !== '');
  const columns = first.split('\t');
  const [privateKey = '', , port = ''] = columns;
  const mark = columns.at(-1) ?? '';
  if (columns.length < 4 || !/^\d{1,5}$/.test(port)) throw unreadable();
  const peers = new Map<string, LivePeer>();
  for (const line of rest) {
    const peer = parsePeer(line.split('\t'));
    peers.set(peer.publicKey, peer);
  }
  return {
    privateKey: none(privateKey),
    listenPort: Number(port),
    fwMark: mark === 'off' ? 0 : Number(/^(0x[0-9a-f]{1,8}|\d{1,10})$/.test(mark) ? mark : 0),
    peers,
  };
}

function parsePeer(columns: readonly string[]): LivePeer {
  const [
    publicKey = '',
    preshared = '',
    endpoint = '',
    networks = '',
    handshake = '',
    rx = '',
    tx = '',
    keepalive = '',
  ] = columns;
  if (columns.length !== 8 || publicKey.length !== 44 || !/^\d+$/.test(`${handshake}${rx}${tx}`)) throw unreadable();
  const given = none(networks)?.split(',') ?? [];
  return {
    publicKey,
    presharedKey: none(preshared),
    endpoint: none(endpoint),
    allowedIPs: sortedNetworks(given.map((network) => formatPrefix(parsePrefix(network, 'allowed-ips')))),
    keepalive: keepalive === 'off' ? 0 : Number.parseInt(keepalive, 10),
    lastHandshake: handshake === '0' ? null : Number(handshake) * 1000,
    rx: Number(rx),
    tx: Number(tx),
  };
}

function none(value: string): string | null {
  return value === '(none)' || value === '(null)' || value === '' ? null : value;
}

function unreadable(): LatchkeyError {
  return new LatchkeyError('driver_failed', 'the tool of the interface printed something that is not known');
}

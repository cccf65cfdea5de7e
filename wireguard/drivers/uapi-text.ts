import { LatchkeyError } from '../../platform/errors.ts';
import { formatPrefix, parsePrefix } from '../address/prefix.ts';
import { keyFromHex, keyToHex } from '../keys.ts';
import { OBFUSCATION_KEYS, type Obfuscation, PARAMETERS, type Span } from '../obfuscation/parameters.ts';
import {
  type InterfaceChange,
  type LiveInterface,
  type LivePeer,
  sortedNetworks,
  type WantedDevice,
  type WantedPeer,
} from './driver.ts';

/**
 * The text of WireGuard's cross-platform control socket (wireguard.com/xplatform): lines of `key=value`, a request ends with
 * an empty line, an answer with `errno=N` and an empty line. Keys are hex here.
 */
export const GET = 'get=1\n\n';

export function changeRequest(change: InterfaceChange): string {
  return `${['set=1', ...change.remove.flatMap(removeLines), ...change.set.flatMap(peerLines)].join('\n')}\n\n`;
}

export function replaceRequest(device: WantedDevice, peers: readonly WantedPeer[]): string {
  const lines = [
    'set=1',
    `private_key=${keyToHex(device.privateKey)}`,
    `listen_port=${device.listenPort}`,
    `fwmark=${device.fwMark}`,
    ...obfuscationLines(device.obfuscation),
    'replace_peers=true',
    ...peers.flatMap(peerLines),
  ];
  return `${lines.join('\n')}\n\n`;
}

function removeLines(publicKey: string): string[] {
  return [`public_key=${keyToHex(publicKey)}`, 'remove=true'];
}

function peerLines(peer: WantedPeer): string[] {
  return [
    `public_key=${keyToHex(peer.publicKey)}`,
    `preshared_key=${peer.presharedKey === null ? '0'.repeat(64) : keyToHex(peer.presharedKey)}`,
    ...(peer.endpoint === null ? [] : [`endpoint=${peer.endpoint}`]),
    `persistent_keepalive_interval=${peer.keepalive}`,
    'replace_allowed_ips=true',
    ...peer.allowedIPs.map((network) => `allowed_ip=${network}`),
  ];
}

/** Names on the socket are those of the files in lower case, but for those that came with 3.0. */
const NAMES: Readonly<Record<string, string>> = {
  HeaderProtectionKey: 'header_protection_key',
  ContentPaddingAddition: 'content_padding_addition',
  RekeyAfterTime: 'rekey_after_time',
  RekeyTimeout: 'rekey_timeout',
  RejectAfterTime: 'reject_after_time',
  KeepaliveTimeout: 'keepalive_timeout',
  MaxHandshakeAttempts: 'max_handshake_attempts',
  RandomTrailers: 'random_trailers',
  DisableCookies: 'disable_cookies',
};

function obfuscationLines(obfuscation: Obfuscation): string[] {
  return OBFUSCATION_KEYS.flatMap((key) => {
    const value = obfuscation[key];
    if (value === undefined) return [];
    const name = NAMES[key] ?? key.toLowerCase();
    if (PARAMETERS[key].kind === 'key') return [`${name}=${keyToHex(String(value))}`];
    if (typeof value === 'object')
      return [`${name}=${(value as Exclude<Span, number>).from}-${(value as Exclude<Span, number>).to}`];
    return [`${name}=${value}`];
  });
}

/** What `errno` an answer ends with; 0 is well. */
export function errnoOf(answer: string): number {
  const found = /(?:^|\n)errno=(-?\d{1,5})\n\n$/.exec(answer)?.[1];
  if (found === undefined) throw unreadable();
  return Math.abs(Number(found));
}

/** The answer to `get=1`. Keys that are not known are passed over: newer ones have more. */
export function parseAnswer(answer: string): LiveInterface {
  let privateKey: string | null = null;
  let listenPort = 0;
  let fwMark = 0;
  const peers = new Map<string, LivePeer>();
  let draft: Draft | null = null;
  for (const line of answer.split('\n')) {
    const at = line.indexOf('=');
    if (at < 1) continue;
    const [key, value] = [line.slice(0, at), line.slice(at + 1)];
    if (key === 'public_key') {
      if (draft !== null) peers.set(draft.publicKey, finished(draft));
      draft = emptyDraft(value);
    } else if (draft !== null) take(draft, key, value);
    else if (key === 'private_key') privateKey = keyFromHex(value);
    else if (key === 'listen_port') listenPort = numberIn(value);
    else if (key === 'fwmark') fwMark = numberIn(value);
  }
  if (draft !== null) peers.set(draft.publicKey, finished(draft));
  return { privateKey, listenPort, fwMark, peers };
}

interface Draft {
  publicKey: string;
  presharedKey: string | null;
  endpoint: string | null;
  allowedIPs: string[];
  keepalive: number;
  seconds: number;
  nanoseconds: number;
  rx: number;
  tx: number;
}

function emptyDraft(hex: string): Draft {
  const publicKey = keyFromHex(hex);
  if (publicKey === null) throw unreadable();
  return {
    publicKey,
    presharedKey: null,
    endpoint: null,
    allowedIPs: [],
    keepalive: 0,
    seconds: 0,
    nanoseconds: 0,
    rx: 0,
    tx: 0,
  };
}

function take(draft: Draft, key: string, value: string): void {
  if (key === 'preshared_key') draft.presharedKey = keyFromHex(value);
  else if (key === 'endpoint') draft.endpoint = value;
  else if (key === 'allowed_ip') draft.allowedIPs.push(formatPrefix(parsePrefix(value, 'allowed_ip')));
  else if (key === 'persistent_keepalive_interval') draft.keepalive = numberIn(value);
  else if (key === 'last_handshake_time_sec') draft.seconds = numberIn(value);
  else if (key === 'last_handshake_time_nsec') draft.nanoseconds = numberIn(value);
  else if (key === 'rx_bytes') draft.rx = numberIn(value);
  else if (key === 'tx_bytes') draft.tx = numberIn(value);
}

function finished({ seconds, nanoseconds, allowedIPs, ...draft }: Draft): LivePeer {
  const lastHandshake = seconds === 0 ? null : seconds * 1000 + Math.floor(nanoseconds / 1e6);
  return { ...draft, allowedIPs: sortedNetworks(allowedIPs), lastHandshake };
}

/** A range of AmneziaWG counts as its beginning. */
function numberIn(value: string): number {
  const digits = /^(\d{1,16})(?:-\d{1,16})?$/.exec(value)?.[1];
  if (digits === undefined) throw unreadable();
  return Number(digits);
}

function unreadable(): LatchkeyError {
  return new LatchkeyError('driver_failed', 'the control socket of the interface answered in a form that is not known');
}

import { LatchkeyError } from '../../platform/errors.ts';
import { canonicalPrefix } from '../address/prefix.ts';
import { keyFromHex, keyToHex, type WireGuardKey } from '../keys.ts';
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

/** The request for a change, peer by peer. */
export function* changeSteps({ remove, set }: InterfaceChange): Generator<undefined, string> {
  return yield* requestOf(['set=1'], remove, set);
}

/** The request that makes an interface anew, peer by peer. */
export function* replaceSteps(device: WantedDevice, peers: readonly WantedPeer[]): Generator<undefined, string> {
  const lines = [
    'set=1',
    `private_key=${keyToHex(device.privateKey)}`,
    `listen_port=${device.listenPort}`,
    `fwmark=${device.fwMark}`,
    ...obfuscationLines(device.obfuscation),
    'replace_peers=true',
  ];
  return yield* requestOf(lines, [], peers);
}

function* requestOf(
  first: readonly string[],
  remove: readonly WireGuardKey[],
  set: readonly WantedPeer[],
): Generator<undefined, string> {
  let text = `${first.join('\n')}\n`;
  for (const key of remove) {
    text += `public_key=${keyToHex(key)}\nremove=true\n`;
    yield;
  }
  for (const peer of set) {
    text += peerText(peer);
    yield;
  }
  return `${text}\n`;
}

function peerText(peer: WantedPeer): string {
  const { publicKey, presharedKey, endpoint, keepalive, allowedIPs } = peer;
  let text = `public_key=${keyToHex(publicKey)}\npreshared_key=${presharedKey === null ? NO_KEY : keyToHex(presharedKey)}\n`;
  if (endpoint !== null) text += `endpoint=${endpoint}\n`;
  text += `persistent_keepalive_interval=${keepalive}\nreplace_allowed_ips=true\n`;
  for (const network of allowedIPs) text += `allowed_ip=${network}\n`;
  return text;
}

const NO_KEY = '0'.repeat(64);

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
    return [`${name}=${typeof value === 'boolean' ? Number(value) : value}`]; // switches are numbers there
  });
}

/** What `errno` an answer ends with; 0 is well. */
export function errnoOf(answer: string): number {
  const found = /(?:^|\n)errno=(-?\d{1,5})\n\n$/.exec(answer.slice(-20))?.[1];
  if (found === undefined) throw unreadable();
  return Math.abs(Number(found));
}

/**
 * The answer to `get=1`, peer by peer: of ten thousand there are megabytes. Keys that are not known are passed over: newer ones have
 * more.
 */
export function* answerSteps(answer: string): Generator<undefined, LiveInterface> {
  let privateKey: string | null = null;
  let listenPort = 0;
  let fwMark = 0;
  const peers = new Map<string, LivePeer>();
  let draft: Draft | null = null;
  for (let start = 0; start < answer.length; ) {
    const found = answer.indexOf('\n', start);
    const end = found < 0 ? answer.length : found;
    const at = answer.indexOf('=', start);
    const [key, value] = at < 0 || at > end ? ['', ''] : [answer.slice(start, at), answer.slice(at + 1, end)];
    start = end + 1;
    if (key === 'public_key') {
      if (draft !== null) peers.set(draft.publicKey, finished(draft));
      draft = emptyDraft(value);
      yield;
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
  else if (key === 'allowed_ip') draft.allowedIPs.push(canonicalPrefix(value, 'allowed_ip'));
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

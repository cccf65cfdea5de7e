import { OBFUSCATION_KEYS, type Obfuscation, PARAMETERS, type Span } from '../obfuscation/parameters.ts';
import type { InterfaceConfig, OtherEntry, PeerConfig, WireGuardConfig } from './wireguard-config.ts';

/**
 * The file for wg-quick and the apps; with parameters of obfuscation in it, for awg-quick. `Key = Value` with one blank on each
 * side, since some apps split there. What is read back by `readConfig` is what went in.
 */
export function writeConfig(config: WireGuardConfig): string {
  const sections = [interfaceLines(config.interface), ...config.peers.map(peerLines)];
  return textOf(sections);
}

/**
 * The part of it that `wg setconf` and `wg syncconf` read. Private key, port and mark are always in it: what is missing
 * there is not kept but cleared, the private key too.
 */
export function writeBareConfig(config: WireGuardConfig): string {
  const { privateKey, listenPort, fwMark, obfuscation } = config.interface;
  const lines = [
    '[Interface]',
    ...entry('PrivateKey', privateKey),
    ...entry('ListenPort', listenPort),
    `FwMark = ${markText(fwMark ?? 0)}`,
    ...obfuscationLines(obfuscation),
  ];
  return textOf([lines, ...config.peers.map((peer) => peerLines({ ...peer, others: [] }))]);
}

/** Peers alone, for `wg addconf`, which leaves all others as they are. */
export function writePeers(peers: readonly PeerConfig[]): string {
  return textOf(peers.map(peerLines));
}

/** Throws TypeError for a value that would not come back as it is: with a line's end in it, or what begins a comment. */
function textOf(sections: readonly (readonly string[])[]): string {
  for (const line of sections.flat()) {
    if (/[#\p{Cc}]/u.test(line.replaceAll('\t', ' ')))
      throw new TypeError('a value of the configuration holds a control character or "#"');
  }
  return `${sections.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

function interfaceLines(given: InterfaceConfig): string[] {
  const { hooks } = given;
  return [
    '[Interface]',
    ...entry('PrivateKey', given.privateKey),
    ...list('Address', given.addresses),
    ...entry('ListenPort', given.listenPort),
    ...list('DNS', given.dns),
    ...entry('MTU', given.mtu),
    ...entry('Table', given.table),
    ...(given.fwMark === null ? [] : [`FwMark = ${markText(given.fwMark)}`]),
    ...(given.saveConfig ? ['SaveConfig = true'] : []),
    ...hooks.preUp.map((command) => `PreUp = ${command}`),
    ...hooks.postUp.map((command) => `PostUp = ${command}`),
    ...hooks.preDown.map((command) => `PreDown = ${command}`),
    ...hooks.postDown.map((command) => `PostDown = ${command}`),
    ...obfuscationLines(given.obfuscation),
    ...otherLines(given.others),
  ];
}

function peerLines(peer: PeerConfig): string[] {
  return [
    '[Peer]',
    `PublicKey = ${peer.publicKey}`,
    ...entry('PresharedKey', peer.presharedKey),
    ...list('AllowedIPs', peer.allowedIPs),
    ...entry('Endpoint', peer.endpoint),
    // 0 and not "off": newer AmneziaWG reads a range there and knows no words
    ...(peer.keepalive === null ? [] : [`PersistentKeepalive = ${spanText(peer.keepalive)}`]),
    ...otherLines(peer.others),
  ];
}

function obfuscationLines(obfuscation: Obfuscation): string[] {
  return OBFUSCATION_KEYS.flatMap((key) => {
    const value = obfuscation[key];
    if (value === undefined) return [];
    if (typeof value === 'boolean') return [`${key} = ${value ? 'on' : 'off'}`];
    return [`${key} = ${PARAMETERS[key].kind === 'span' ? spanText(value as Span) : value}`];
  });
}

function otherLines(others: readonly OtherEntry[]): string[] {
  return others.map(({ key, value }) => `${key} = ${value}`);
}

function entry(key: string, value: string | number | null): string[] {
  return value === null ? [] : [`${key} = ${value}`];
}

function list(key: string, values: readonly string[]): string[] {
  return values.length === 0 ? [] : [`${key} = ${values.join(', ')}`];
}

function spanText(span: Span): string {
  return typeof span === 'number' ? String(span) : `${span.from}-${span.to}`;
}

function markText(mark: number): string {
  return mark === 0 ? 'off' : `0x${mark.toString(16)}`;
}

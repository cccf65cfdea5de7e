import { isIP } from 'node:net';
import { isLatchkeyError, LatchkeyError } from '../../platform/errors.ts';
import { formatPrefix, networkOf, parsePrefix } from '../address/prefix.ts';
import { parseKey, parsePublicKey } from '../keys.ts';
import {
  type Obfuscation,
  type ObfuscationKey,
  obfuscationKey,
  PARAMETERS,
  type Span,
} from '../obfuscation/parameters.ts';
import { type Entry, readLines, type Section, sectionsOf, syntax } from './config-text.ts';
import { formatEndpoint, parseEndpoint } from './endpoint.ts';
import {
  EMPTY_INTERFACE,
  type Hooks,
  type InterfaceConfig,
  type OtherEntry,
  type PeerConfig,
  type WireGuardConfig,
} from './wireguard-config.ts';

/**
 * Reads what wg-quick, awg-quick, `wg showconf` or an app wrote. Keys and sections are compared without regard to case, lists
 * may be given in several lines, as the tools have it. What is not understood is kept in `others`. Throws
 * `config_syntax` with the number of the line for everything the tools would refuse or misread: a wrong value, a value given
 * twice, no or two interfaces, a peer without a key.
 */
export function readConfig(text: string): WireGuardConfig {
  const sections = sectionsOf(readLines(text));
  const interfaces = sections.filter((section) => isNamed(section, 'interface'));
  const [own, second] = interfaces;
  if (own === undefined) throw syntax(1, 'should begin a file with a section [Interface]');
  if (second !== undefined) throw syntax(second.line, 'begins a second [Interface]');
  for (const section of sections) {
    if (!isNamed(section, 'interface') && !isNamed(section, 'peer'))
      throw syntax(section.line, 'begins a section that is neither [Interface] nor [Peer]');
  }
  return { interface: readInterface(own), peers: sections.filter((section) => isNamed(section, 'peer')).map(readPeer) };
}

function isNamed(section: Section, name: string): boolean {
  return section.name.toLowerCase() === name;
}

/** Entries of one section by lower-case key. */
class Entries {
  readonly #entries: readonly Entry[];
  readonly #taken = new Set<Entry>();

  constructor(section: Section) {
    this.#entries = section.entries;
  }

  /** The values of a key that may be repeated. */
  all<T>(key: string, read: (value: string, key: string) => T): T[] {
    return this.#take(key).map((entry) => readValue(entry, read));
  }

  /** The values of a key whose lines hold lists with commas. */
  list<T>(key: string, read: (value: string, key: string) => T): T[] {
    return this.#take(key).flatMap((entry) =>
      entry.value === '' ? [] : entry.value.split(',').map((part) => readValue({ ...entry, value: part.trim() }, read)),
    );
  }

  /** The value of a key that is given once, or null. */
  one<T>(key: string, read: (value: string, key: string) => T): T | null {
    const [entry, again] = this.#take(key);
    if (again !== undefined) throw syntax(again.line, `gives "${again.key}" a second time`);
    return entry === undefined ? null : readValue(entry, read);
  }

  #take(key: string): Entry[] {
    const found = this.#entries.filter((entry) => entry.key.toLowerCase() === key.toLowerCase());
    for (const entry of found) this.#taken.add(entry);
    return found;
  }

  others(): OtherEntry[] {
    return this.#entries.filter((entry) => !this.#taken.has(entry)).map(({ key, value }) => ({ key, value }));
  }
}

function readValue<T>(entry: Entry, read: (value: string, key: string) => T): T {
  try {
    return read(entry.value, entry.key);
  } catch (error) {
    if (isLatchkeyError(error)) throw syntax(entry.line, `is wrong: ${error.message}`);
    throw error;
  }
}

function readInterface(section: Section): InterfaceConfig {
  const entries = new Entries(section);
  const hooks: Hooks = {
    preUp: entries.all('PreUp', same),
    postUp: entries.all('PostUp', same),
    preDown: entries.all('PreDown', same),
    postDown: entries.all('PostDown', same),
  };
  const obfuscation = readObfuscation(section, entries);
  return {
    ...EMPTY_INTERFACE,
    privateKey: entries.one('PrivateKey', readKey),
    addresses: entries.list('Address', (value, key) => formatPrefix(parsePrefix(value, key))),
    listenPort: entries.one('ListenPort', integer(0, 65_535)),
    dns: entries.list('DNS', readDns),
    mtu: entries.one('MTU', integer(576, 65_535)),
    table: entries.one(
      'Table',
      matching(/^(auto|off|[A-Za-z0-9_.-]{1,64})$/i, 'must be a number, "auto", "off" or a name'),
    ),
    fwMark: entries.one('FwMark', readMark),
    saveConfig: entries.one('SaveConfig', readSwitch) ?? false,
    hooks,
    obfuscation,
    others: entries.others(),
  };
}

function readPeer(section: Section): PeerConfig {
  const entries = new Entries(section);
  const publicKey = entries.one('PublicKey', parsePublicKey);
  if (publicKey === null) throw syntax(section.line, 'begins a peer without a PublicKey');
  return {
    publicKey,
    presharedKey: entries.one('PresharedKey', readKey),
    allowedIPs: entries.list('AllowedIPs', (value, key) => formatPrefix(networkOf(parsePrefix(value, key)))),
    endpoint: entries.one('Endpoint', (value, key) => formatEndpoint(parseEndpoint(value, key))),
    keepalive: entries.one('PersistentKeepalive', (value, key) =>
      /^off$/i.test(value) ? 0 : readSpan(value, key, 65_535),
    ),
    others: entries.others(),
  };
}

function readObfuscation(section: Section, entries: Entries): Obfuscation {
  const found: Partial<Record<ObfuscationKey, Obfuscation[ObfuscationKey]>> = {};
  for (const { key: written } of section.entries) {
    const key = obfuscationKey(written);
    if (key === null || found[key] !== undefined) continue;
    const value = entries.one(key, (text, name) => readParameter(key, text, name));
    if (value !== null) found[key] = value;
  }
  return found as Obfuscation;
}

function readParameter(key: ObfuscationKey, text: string, name: string): Obfuscation[ObfuscationKey] {
  switch (PARAMETERS[key].kind) {
    case 'integer':
      return integer(0, 65_535)(text, name);
    case 'span':
      return readSpan(text, name, 2 ** 32 - 1);
    case 'packet':
      return matching(/^(<[^<>]*>)+$/, 'must be made of tags in angle brackets')(text, name);
    case 'key':
      return readKey(text, name);
    case 'switch':
      return readSwitch(text, name);
  }
}

const same = (value: string): string => value;

function readKey(value: string, key: string): string {
  parseKey(value, key);
  return value;
}

function readDns(value: string, key: string): string {
  return isIP(value) === 0
    ? matching(/^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})$/, 'must be addresses or search domains')(value, key)
    : value;
}

function readSwitch(value: string, key: string): boolean {
  return /^(true|on)$/i.test(matching(/^(true|false|on|off)$/i, 'must be true or false')(value, key));
}

function readMark(value: string, key: string): number {
  if (/^off$/i.test(value)) return 0;
  if (/^0x[0-9a-f]{1,8}$/i.test(value)) return Number(value);
  return integer(0, 2 ** 32 - 1)(value, key);
}

function readSpan(value: string, key: string, max: number): Span {
  const [from = '', to, ...rest] = value.split('-');
  const first = integer(0, max)(from, key);
  if (to === undefined) return first;
  const last = rest.length === 0 ? integer(0, max)(to, key) : -1;
  if (last < first) throw wrong(key, 'must be a number, or a range such as 5-10');
  return { from: first, to: last };
}

function integer(min: number, max: number): (value: string, key: string) => number {
  return (value, key) => {
    const number = /^(0|[1-9][0-9]{0,9})$/.test(value) ? Number(value) : -1;
    if (number < min || number > max) throw wrong(key, `must be an integer from ${min} to ${max}`);
    return number;
  };
}

function matching(pattern: RegExp, words: string): (value: string, key: string) => string {
  return (value, key) => {
    if (!pattern.test(value)) throw wrong(key, words);
    return value;
  };
}

function wrong(key: string, words: string): LatchkeyError {
  return new LatchkeyError('config_syntax', `"${key}" ${words}`, { status: 400, exit: 2, field: key });
}

import { isLatchkeyError } from '../../platform/errors.ts';
import { readLines, type Section, sectionsOf, shownKey } from '../config/config-text.ts';
import { outerFamily } from '../config/endpoint.ts';
import { readConfig } from '../config/read-config.ts';
import type { WireGuardConfig } from '../config/wireguard-config.ts';
import { generateKeyPair, publicKeyOf } from '../keys.ts';
import { LINK_MTU, tunnelMtu } from '../obfuscation/mtu.ts';
import { isPlain, type ObfuscationVersion, versionNeeded } from '../obfuscation/parameters.ts';
import { breachesOf } from '../obfuscation/rules.ts';
import { type ClientFit, clientFits } from './client-fit.ts';
import { sharedNetworks } from './shared-networks.ts';

/** Something about a configuration. No value of a key is ever in it. */
export interface Remark {
  /** `fault` breaks a rule; `note` is worth knowing. */
  readonly verdict: 'fault' | 'note';
  /** From 1; `null` where no one line is meant. */
  readonly line: number | null;
  readonly words: string;
}

export interface ConfigCheck {
  readonly remarks: readonly Remark[];
  /** What follows is `null` for a file that cannot be read. */
  readonly needs: ObfuscationVersion | 'plain' | null;
  readonly mtu: MtuCheck | null;
  readonly peers: number | null;
  readonly clients: readonly ClientFit[] | null;
}

export interface MtuCheck {
  /** As the file says; `null` where it leaves it to the program. */
  readonly given: number | null;
  /** The largest that is not cut on a link of 1500 bytes. */
  readonly fits: number;
  /** By which IP the outer packets travel, as far as the endpoints tell. */
  readonly over: 4 | 6 | 'either';
}

/** What wg-quick and awg-quick take on a link of 1500 bytes when the file has none. */
const QUICK_MTU = 1420;
/** Whoever has written more wrong lines than this does not read on. */
const MOST_LINES = 50;

/** Pure: everything that is wrong with a configuration somebody wrote, by line. */
export function checkConfig(text: string): ConfigCheck {
  const { config, remarks, mended } = readAll(text);
  if (config === null) return { remarks, needs: null, mtu: null, peers: null, clients: null };
  const sections = sectionsOf(readLines(mended));
  const own = sections.find(({ name }) => name.toLowerCase() === 'interface');
  const mtu = mtuOf(config);
  return {
    remarks: [
      ...remarks,
      ...obfuscationRemarks(config, own),
      ...mtuRemarks(config, mtu, own),
      ...peerRemarks(config, sections),
      ...unknownRemarks(config, sections),
      ...spellingRemarks(config, sections),
    ].sort((a, b) => (a.line ?? 0) - (b.line ?? 0)),
    needs: versionNeeded(config.interface.obfuscation) ?? 'plain',
    mtu,
    peers: config.peers.length,
    clients: clientFits(config),
  };
}

/** Reads past wrong lines, so that all of them are named at once. `mended` is the text that was read in the end. */
function readAll(text: string): {
  readonly config: WireGuardConfig | null;
  readonly remarks: Remark[];
  readonly mended: string;
} {
  const lines = text.split('\n');
  const remarks: Remark[] = [];
  for (;;) {
    const mended = lines.join('\n');
    try {
      return { config: readConfig(mended), remarks, mended };
    } catch (error) {
      if (!isLatchkeyError(error, 'config_syntax')) throw error;
      const line = typeof error.extra?.line === 'number' ? error.extra.line : null;
      const wrong = line === null ? '' : (lines[line - 1] ?? '');
      remarks.push(fault(line, error.message.replace(/^line \d+ /, '')));
      const isEntry = line !== null && wrong.trim() !== '' && !wrong.trimStart().startsWith('[');
      if (!isEntry || remarks.length >= MOST_LINES) return { config: null, remarks, mended };
      // a peer without a key would be a second mistake, and is none
      lines[line - 1] = /^\s*PublicKey\s*=/i.test(wrong) ? `PublicKey = ${generateKeyPair().publicKey}` : '';
    }
  }
}

function lineOf(section: Section | undefined, key: string): number | null {
  return section?.entries.find((entry) => entry.key.toLowerCase() === key.toLowerCase())?.line ?? null;
}

function fault(line: number | null, words: string): Remark {
  return { verdict: 'fault', line, words };
}

function note(line: number | null, words: string): Remark {
  return { verdict: 'note', line, words };
}

function obfuscationRemarks({ interface: { obfuscation } }: WireGuardConfig, own: Section | undefined): Remark[] {
  const found = breachesOf(obfuscation).map(({ keys, words }) => {
    const line = keys.map((key) => lineOf(own, key)).find((at) => at !== null) ?? null;
    return fault(line, `"${keys[0]}" ${words}`);
  });
  const { RandomTrailers, ContentPaddingAddition } = obfuscation;
  if (RandomTrailers === true && ContentPaddingAddition !== undefined && ContentPaddingAddition !== 0) {
    const words = '"ContentPaddingAddition" should be 0 with RandomTrailers: it costs a fifth of the rate';
    found.push(note(lineOf(own, 'ContentPaddingAddition'), words));
  }
  return found;
}

function mtuOf({ interface: { mtu, obfuscation }, peers }: WireGuardConfig): MtuCheck {
  const families = new Set(peers.flatMap(({ endpoint }) => (endpoint === null ? [] : [outerFamily(endpoint)])));
  const [only] = families;
  const over =
    families.size === 1 && only !== undefined ? only : families.has(6) && !families.has('either') ? 6 : 'either';
  return { given: mtu, fits: tunnelMtu(obfuscation, { mtu: LINK_MTU, family: over }), over };
}

function mtuRemarks(
  { interface: { obfuscation } }: WireGuardConfig,
  { given, fits, over }: MtuCheck,
  own: Section | undefined,
): Remark[] {
  const effective = given ?? QUICK_MTU;
  if (effective <= fits) return [];
  const line = lineOf(own, 'MTU') ?? own?.line ?? null;
  const what = given === null ? `"MTU" is missing, and ${QUICK_MTU} is taken: it` : '"MTU"';
  const words = `${what} must be at most ${fits}, or packets are cut on a link of ${LINK_MTU} bytes`;
  const fitsOver4 = effective <= tunnelMtu(obfuscation, { mtu: LINK_MTU, family: 4 });
  return [
    over === 'either' && fitsOver4 ? note(line, `${words} (where the outer packets are IPv6)`) : fault(line, words),
  ];
}

function peerRemarks(config: WireGuardConfig, sections: readonly Section[]): Remark[] {
  const found: Remark[] = [];
  const at = sections.filter(({ name }) => name.toLowerCase() === 'peer');
  const keyLine = (peer: number): number | null => lineOf(at[peer], 'PublicKey');
  const seen = new Map<string, number>();
  const { privateKey } = config.interface;
  const own = privateKey === null ? null : publicKeyOf(privateKey);
  if (privateKey === null) found.push(note(null, 'there is no PrivateKey: the file is not whole'));
  for (const [peer, { publicKey }] of config.peers.entries()) {
    const before = seen.get(publicKey);
    if (before !== undefined)
      found.push(fault(keyLine(peer), `"PublicKey" is the one of line ${keyLine(before)}: the two become one peer`));
    else seen.set(publicKey, peer);
    if (publicKey === own) found.push(fault(keyLine(peer), '"PublicKey" belongs to the PrivateKey of this very file'));
  }
  for (const { network, inside, peers, same } of sharedNetworks(config.peers)) {
    const [one, other] = peers;
    const line = lineOf(at[other], 'AllowedIPs');
    const where = `the peer of line ${at[one]?.line}`;
    found.push(
      same
        ? fault(line, `"AllowedIPs" gives ${inside} to a second peer: ${where} loses it`)
        : note(line, `"AllowedIPs" has ${inside}, which is inside of ${network} of ${where}: the narrower one wins`),
    );
  }
  return found;
}

function unknownRemarks(config: WireGuardConfig, sections: readonly Section[]): Remark[] {
  const named = (name: string): Section[] => sections.filter((section) => section.name.toLowerCase() === name);
  const owners = [config.interface, ...config.peers];
  return [...named('interface'), ...named('peer')].flatMap(({ name, entries }, at) => {
    const unknown = new Set(owners[at]?.others.map(({ key }) => key));
    return entries
      .filter(({ key }) => unknown.has(key))
      .map(({ key, line }) => fault(line, `${shownKey(key)} is nothing that a section [${name}] has`));
  });
}

function spellingRemarks(config: WireGuardConfig, sections: readonly Section[]): Remark[] {
  if (isPlain(config.interface.obfuscation)) return [];
  return sections.flatMap(({ entries }) =>
    entries
      .filter(({ key, value }) => key.toLowerCase() === 'persistentkeepalive' && value.toLowerCase() === 'off')
      .map(({ line }) =>
        fault(line, '"PersistentKeepalive" must be 0 and not "off": AmneziaWG 3 reads a number there'),
      ),
  );
}

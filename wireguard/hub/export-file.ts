import { readFileSync } from 'node:fs';
import { LatchkeyError } from '../../platform/errors.ts';
import { writeFileAtomic } from '../../platform/files.ts';
import { EMPTY_INTERFACE } from '../config/wireguard-config.ts';
import { writeConfig } from '../config/write-config.ts';
import type { WantedPeer } from '../drivers/driver.ts';
import type { HubInterface } from '../store/hub-interface.ts';
import { fittingMtu } from './make-hub.ts';

/** What an export begins with, by which it is known again. */
const MARK = '# export of wghub:';
const FIRST_LINE = `${MARK} what is changed here is lost, the hub's own store is what counts`;

/** Pure: an interface with its peers as wg-quick and awg-quick read it. */
export function exportText(facts: HubInterface, peers: Iterable<WantedPeer>): string {
  const { privateKey, addresses, listenPort, mtu, fwMark, obfuscation } = facts;
  const sorted = [...peers].sort((a, b) => (a.publicKey < b.publicKey ? -1 : 1));
  const config = {
    interface: {
      ...EMPTY_INTERFACE,
      ...{ privateKey, addresses, listenPort, obfuscation },
      mtu: mtu ?? fittingMtu(obfuscation),
      fwMark: fwMark === 0 ? null : fwMark,
    },
    peers: sorted.map(({ publicKey, presharedKey, allowedIPs, endpoint, keepalive }) => ({
      ...{ publicKey, presharedKey, allowedIPs, endpoint, others: [] },
      keepalive: keepalive === 0 ? null : keepalive,
    })),
  };
  return `${FIRST_LINE}\n${writeConfig(config)}`;
}

/**
 * Writes an export, 0600, so that the file is the old one or the new one at any moment. Throws `file_exists` (exit 3) for a
 * file that is no export: it may be the only copy of somebody's keys. False when it was so already.
 */
export function writeExport(path: string, text: string): boolean {
  const before = textAt(path);
  if (before !== null && !isExport(before)) {
    throw new LatchkeyError('file_exists', `${path} is no export of wghub, and is left as it is`, {
      exit: 3,
      hint: 'move it away, or export to another place',
    });
  }
  if (before === text) return false;
  writeFileAtomic(path, text, { mode: 0o600 });
  return true;
}

export function isExport(text: string): boolean {
  return text.startsWith(MARK);
}

function textAt(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown';
    if (code === 'ENOENT') return null;
    throw new LatchkeyError('file_not_read', `${path} could not be read (${code})`, { cause });
  }
}

import { randomBytes } from 'node:crypto';
import { appendFileSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { LatchkeyError } from '../../platform/errors.ts';
import {
  fingerprint,
  formatKnownHost,
  type HostKeyVerdict,
  hostKeyType,
  judgeHostKey,
  knownKeyTypes,
  parseKnownHosts,
} from './known-hosts.ts';
import type { Prompter } from './prompter.ts';
import type { SshTarget } from './ssh-target.ts';

export interface HostKeyTrust {
  readonly target: SshTarget;
  /** The first is read and written, the others are only read. */
  readonly files: readonly string[];
  /** `SHA256:…`: good for a host nobody has seen, and for nothing else. */
  readonly accept: string | undefined;
  readonly prompter: Prompter | null;
}

/** What the files say about a key shown by the host; revoked and changed outweigh known across files. */
export function lookUpHostKey(trust: HostKeyTrust, key: Buffer): HostKeyVerdict & { file?: string } {
  const { host, port } = trust.target;
  const verdicts = trust.files.map((file) => ({ ...judgeHostKey(readEntries(file), host, port, key), file }));
  for (const word of ['revoked', 'known', 'changed', 'authority'] as const) {
    const found = verdicts.find((entry) => entry.verdict === word);
    if (found !== undefined) return found;
  }
  return { verdict: 'unknown' };
}

/** The key types on record for the host, in all files. */
export function expectedKeyTypes(trust: HostKeyTrust): string[] {
  return trust.files.flatMap((file) => knownKeyTypes(readEntries(file), trust.target.host, trust.target.port));
}

/** Returns when the host may be trusted with this key from now on, having stored it; throws (exit 3) otherwise. */
export async function settleHostKey(trust: HostKeyTrust, key: Buffer): Promise<void> {
  const found = lookUpHostKey(trust, key);
  if (found.verdict === 'known') return;
  const { host, port } = trust.target;
  const shown = `${hostKeyType(key)} ${fingerprint(key)}`;
  if (found.verdict !== 'unknown') throw refusal(found, host, shown);
  if (trust.accept !== undefined) {
    if (trust.accept === fingerprint(key)) return store(trust, key);
    throw new LatchkeyError(
      'host_key_mismatch',
      `${host} shows ${shown}, which is not the key "--accept-host-key" names`,
      {
        exit: 3,
        field: '--accept-host-key',
        hint: 'somebody may be in between; compare with `ssh-keygen -l` on the server itself',
      },
    );
  }
  const question = `${host} port ${port} is not known yet. It shows ${shown}. Type yes to trust it`;
  const answer = trust.prompter === null ? null : await trust.prompter.ask(question, { secret: false });
  if (answer === 'yes' || answer === fingerprint(key)) return store(trust, key);
  throw new LatchkeyError('host_key_unknown', `the key of ${host} is not known: ${shown}`, {
    exit: 3,
    hint: `compare it with the server's own (ssh-keygen -l -f /etc/ssh/ssh_host_ed25519_key.pub), then add --accept-host-key ${fingerprint(key)}`,
  });
}

function refusal(found: HostKeyVerdict & { file?: string }, host: string, shown: string): LatchkeyError {
  const place = 'entry' in found ? `${found.file} line ${found.entry.line}` : '';
  if (found.verdict === 'revoked') {
    return new LatchkeyError('host_key_revoked', `${host} shows a key that is revoked: ${shown} (${place})`, {
      exit: 3,
    });
  }
  if (found.verdict === 'authority') {
    return new LatchkeyError(
      'host_key_authority',
      `${host} is vouched for by a certificate authority only (${place})`,
      {
        exit: 3,
        hint: 'host certificates are not checked here; put the host key itself into known_hosts',
      },
    );
  }
  return new LatchkeyError('host_key_changed', `${host} shows another key than before: ${shown} (${place})`, {
    exit: 3,
    hint: 'somebody may be in between; if the server was set up anew, remove that line yourself and connect again',
  });
}

function readEntries(file: string): ReturnType<typeof parseKnownHosts> {
  return parseKnownHosts(readText(file));
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw new LatchkeyError('known_hosts_unreadable', `${file} could not be read`, { exit: 3, cause: error });
  }
}

/** Appended, never rewritten: the file belongs to the user and to ssh. Hashed when the file already keeps hashes. */
function store(trust: HostKeyTrust, key: Buffer): void {
  const file = trust.files[0];
  if (file === undefined) throw new TypeError('there must be a known_hosts file to write to');
  const text = readText(file);
  const salt = /^\|1\|/m.test(text) ? randomBytes(20) : null;
  const line = formatKnownHost(trust.target.host, trust.target.port, key, salt);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  appendFileSync(file, text === '' || text.endsWith('\n') ? line : `\n${line}`, { mode: 0o600 });
}

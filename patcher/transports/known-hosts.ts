import { createHmac, timingSafeEqual } from 'node:crypto';
import { decodeBase64, sha256 } from '../../platform/encoding.ts';

/** One usable line of a known_hosts file, sshd(8) "SSH_KNOWN_HOSTS FILE FORMAT". */
export interface KnownHost {
  readonly marker: 'none' | 'revoked' | 'cert-authority';
  /** The host field as written: patterns with commas, or one hash. */
  readonly hosts: string;
  readonly type: string;
  readonly key: Buffer;
  readonly line: number;
}

export type HostKeyVerdict =
  | { readonly verdict: 'known' }
  /** Nothing about this host. */
  | { readonly verdict: 'unknown' }
  /** Other keys are on record for this host. */
  | { readonly verdict: 'changed'; readonly entry: KnownHost }
  | { readonly verdict: 'revoked'; readonly entry: KnownHost }
  /** The host is vouched for by a certificate authority only, which we do not check. */
  | { readonly verdict: 'authority'; readonly entry: KnownHost };

/** No OpenSSH public key is larger; RSA of 16384 bits takes about 2 KiB. */
const MAX_KEY_BYTES = 16 * 1024;

/** The lines that mean something; like OpenSSH, lines that cannot be read count as not being there. */
export function parseKnownHosts(text: string): KnownHost[] {
  return text.split('\n').flatMap((line, index) => parseLine(line.replace(/\r$/, ''), index + 1) ?? []);
}

function parseLine(text: string, line: number): KnownHost | null {
  const fields = text.split(/[ \t]+/).filter((field) => field !== '');
  if (fields[0] === undefined || fields[0].startsWith('#')) return null;
  const marked = fields[0].startsWith('@');
  const marker = marked ? fields.shift() : '@none';
  if (marker !== '@none' && marker !== '@revoked' && marker !== '@cert-authority') return null;
  const [hosts, type, encoded] = fields;
  if (hosts === undefined || type === undefined || encoded === undefined) return null;
  const key = decodeBase64(encoded, { max: MAX_KEY_BYTES });
  if (key === null || hostKeyType(key) !== type) return null;
  return { marker: marker.slice(1) as KnownHost['marker'], hosts, type, key, line };
}

/** The algorithm name inside a public key blob (RFC 4253, section 6.6), or null. */
export function hostKeyType(key: Buffer): string | null {
  if (key.length < 4) return null;
  const length = key.readUInt32BE(0);
  if (length === 0 || length > 64 || key.length < 4 + length) return null;
  return key.toString('latin1', 4, 4 + length);
}

/** What a host is called in known_hosts: the bare name on port 22, `[name]:port` elsewhere. */
export function knownHostName(host: string, port: number): string {
  const name = host.toLowerCase();
  return port === 22 ? name : `[${name}]:${port}`;
}

/** What the file says about a host that shows this key. A revoked key is refused before anything else is looked at. */
export function judgeHostKey(entries: readonly KnownHost[], host: string, port: number, key: Buffer): HostKeyVerdict {
  const name = knownHostName(host, port);
  const about = entries.filter((entry) => matchesHost(entry.hosts, name));
  const same = (entry: KnownHost) => entry.key.equals(key);
  const revoked = about.find((entry) => entry.marker === 'revoked' && same(entry));
  if (revoked !== undefined) return { verdict: 'revoked', entry: revoked };
  const plain = about.filter((entry) => entry.marker === 'none');
  if (plain.some(same)) return { verdict: 'known' };
  if (plain[0] !== undefined) return { verdict: 'changed', entry: plain[0] };
  const authority = about.find((entry) => entry.marker === 'cert-authority');
  return authority === undefined ? { verdict: 'unknown' } : { verdict: 'authority', entry: authority };
}

/** The key types on record for a host, so that the server is asked for one we can check. */
export function knownKeyTypes(entries: readonly KnownHost[], host: string, port: number): string[] {
  const name = knownHostName(host, port);
  const about = entries.filter((entry) => entry.marker === 'none' && matchesHost(entry.hosts, name));
  return [...new Set(about.map((entry) => entry.type))];
}

function matchesHost(field: string, name: string): boolean {
  if (field.startsWith('|')) return matchesHash(field, name);
  const patterns = field.toLowerCase().split(',');
  const hit = (pattern: string) => matchesPattern(pattern, name);
  if (patterns.some((pattern) => pattern.startsWith('!') && hit(pattern.slice(1)))) return false;
  return patterns.some((pattern) => !pattern.startsWith('!') && hit(pattern));
}

/** `|1|salt|hash`: HMAC-SHA-1 of the name under the salt. */
function matchesHash(field: string, name: string): boolean {
  const [, version, salt, hash, ...rest] = field.split('|');
  if (version !== '1' || salt === undefined || hash === undefined || rest.length > 0) return false;
  const key = decodeBase64(salt, { max: 20 });
  const wanted = decodeBase64(hash, { max: 20 });
  if (key?.length !== 20 || wanted?.length !== 20) return false;
  return timingSafeEqual(createHmac('sha1', key).update(name).digest(), wanted);
}

/** `*` and `?` as in OpenSSH; without backtracking beyond the last star, so that no pattern takes long. */
function matchesPattern(pattern: string, name: string): boolean {
  let at = 0;
  let star = -1;
  let resume = 0;
  for (let index = 0; index < name.length; ) {
    const sign = pattern[at];
    if (sign === '*') {
      star = at++;
      resume = index;
    } else if (sign === '?' || sign === name[index]) {
      at++;
      index++;
    } else if (star >= 0) {
      at = star + 1;
      index = ++resume;
    } else return false;
  }
  return /^\**$/.test(pattern.slice(at));
}

/** As `ssh-keygen -l` prints it: `SHA256:` and 43 characters of unpadded base64. */
export function fingerprint(key: Buffer): string {
  return `SHA256:${sha256(key).toString('base64').replace(/=+$/, '')}`;
}

/** A line for the file; hashed with `salt` (20 bytes) when the file's owner keeps hashes. */
export function formatKnownHost(host: string, port: number, key: Buffer, salt: Buffer | null): string {
  const name = knownHostName(host, port);
  const hashed = (bytes: Buffer) =>
    `|1|${bytes.toString('base64')}|${createHmac('sha1', bytes).update(name).digest('base64')}`;
  return `${salt === null ? name : hashed(salt)} ${hostKeyType(key)} ${key.toString('base64')}\n`;
}

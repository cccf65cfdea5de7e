import { createHash } from 'node:crypto';
import { createWriteStream, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { readSignedList } from '../../patcher/vendor/vendor-signature.ts';
import { assertUnchanged, compareTree } from '../../patcher/vendor/vendor-tree.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { run } from '../../platform/run.ts';
import { type NextcloudTree, readTree } from './nextcloud-tree.ts';

export const releaseServer = 'https://download.nextcloud.com/server/releases/';

/** A release is about 250 MB; what is larger than this is not one. */
const archiveLimit = 1_000_000_000;

export interface DownloadOptions {
  /** Folder that gets one folder a version. */
  readonly into: string;
  /** Where releases are fetched from: https, or plain http on loopback. */
  readonly from?: string;
  readonly now?: Date;
  /** Judges an unpacked release; the vendor's signature over every file unless told otherwise. */
  readonly verify?: (folder: string, now: Date) => Promise<void>;
  readonly say?: (line: string) => void;
}

function releaseUrl(from: string, name: string): URL {
  const url = new URL(name, from);
  const loopback = url.hostname === '127.0.0.1' || url.hostname === '[::1]';
  if (url.protocol === 'https:' || (url.protocol === 'http:' && loopback)) return url;
  throw new LatchkeyError('download_refused', 'releases are fetched over https only', { exit: 3 });
}

async function fetchStream(url: URL): Promise<Readable> {
  let response: Response;
  try {
    response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(1_800_000) });
  } catch (cause) {
    throw new LatchkeyError('download_failed', `${url.host} could not be reached or sent elsewhere`, { cause });
  }
  if (response.status !== 200 || response.body === null) {
    throw new LatchkeyError('download_failed', `${url.host} answered ${response.status} for ${url.pathname}`);
  }
  return Readable.fromWeb(response.body as import('node:stream/web').ReadableStream<Uint8Array>);
}

/** Reads the vendor's `.sha512`: one line a file, 128 hex digits, two spaces, the name. */
export function readChecksum(text: string, name: string): string {
  for (const line of text.split('\n')) {
    const match = /^([0-9a-f]{128}) [ *](\S+)$/.exec(line);
    if (match?.[2] === name && match[1] !== undefined) return match[1];
  }
  throw new LatchkeyError('download_refused', `the list of checksums does not name "${name}"`, { exit: 3 });
}

async function fetchText(url: URL): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of await fetchStream(url)) {
    size += (part as Buffer).length;
    if (size > 65_536) throw new LatchkeyError('download_refused', 'the list of checksums is too large', { exit: 3 });
    parts.push(part as Buffer);
  }
  return Buffer.concat(parts).toString('utf8');
}

async function fetchFile(url: URL, target: string): Promise<string> {
  const hash = createHash('sha512');
  let size = 0;
  const watch = new Transform({
    transform(part: Buffer, _encoding, done) {
      size += part.length;
      hash.update(part);
      if (size > archiveLimit)
        done(new LatchkeyError('download_refused', 'the archive is too large for a release', { exit: 3 }));
      else done(null, part);
    },
  });
  await pipeline(await fetchStream(url), watch, createWriteStream(target, { flags: 'wx' }));
  return hash.digest('hex');
}

/** Every file of core and of each signed app must be there and as the vendor signed it. */
export async function verifyRelease(folder: string, now: Date): Promise<void> {
  const read = (path: string): string => readFileSync(join(folder, path), 'utf8');
  const rootCrt = read('resources/codesigning/root.crt');
  const list = readSignedList(read('core/signature.json'), { id: 'core', rootCrt, now });
  assertUnchanged(await compareTree(folder, list, { kind: 'core' }));
  const shipped: unknown = JSON.parse(read('core/shipped.json'))?.shippedApps;
  for (const id of Array.isArray(shipped) ? shipped.map(String) : []) {
    const app = join('apps', id);
    if (!existsSync(join(folder, app))) continue;
    const appList = readSignedList(read(join(app, 'appinfo', 'signature.json')), { id, rootCrt, now });
    assertUnchanged(await compareTree(join(folder, app), appList, { kind: 'app' }));
  }
}

/**
 * Fetches an official release, checks it by its checksum and the vendor's signature and only then gives it its name, so
 * that a folder with a version's name has always passed. An existing one is left alone.
 */
export async function downloadRelease(version: string, options: DownloadOptions): Promise<NextcloudTree> {
  if (!/^[1-9][0-9]{1,2}\.[0-9]{1,2}\.[0-9]{1,3}$/.test(version)) {
    throw new LatchkeyError('invalid_request', '"--download" must be a version such as 33.0.1', { exit: 2 });
  }
  const target = join(options.into, version);
  const known = readTree(target);
  if (known !== null) return known;

  const name = `nextcloud-${version}.tar.bz2`;
  const archiveUrl = releaseUrl(options.from ?? releaseServer, name);
  mkdirSync(options.into, { recursive: true });
  const temporary = mkdtempSync(join(options.into, '.download-'));
  try {
    const wanted = readChecksum(await fetchText(new URL(`${archiveUrl.href}.sha512`)), name);
    options.say?.(`fetching ${archiveUrl.href}`);
    const archive = join(temporary, name);
    if ((await fetchFile(archiveUrl, archive)) !== wanted) {
      throw new LatchkeyError('download_refused', `${name} does not have the checksum that the vendor names`, {
        exit: 3,
      });
    }
    options.say?.(`unpacking ${name}`);
    await run(['tar', '-xjf', archive, '-C', temporary, '--no-same-owner'], { timeoutMs: 600_000 });
    const unpacked = join(temporary, 'nextcloud');
    const tree = readTree(unpacked);
    // a signed older release verifies too, so what it says it is must be what was asked for
    if (tree?.version !== version) {
      throw new LatchkeyError('download_refused', `${name} does not hold Nextcloud ${version}`, { exit: 3 });
    }
    options.say?.('verifying the signature of the vendor');
    await (options.verify ?? verifyRelease)(unpacked, options.now ?? new Date());
    renameSync(unpacked, target);
    return { ...tree, folder: target };
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

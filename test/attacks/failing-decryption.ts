import { copyFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../../platform/run.ts';
import { WebDav } from '../harness/nextcloud-client.ts';
import type { NextcloudInstance } from '../harness/nextcloud-instance.ts';

const name = 'damaged.txt';
const argumentsOff = 'zend.exception_ignore_args=Off';

/**
 * A file as Nextcloud up to 24 wrote them, with a share key that does not open: its header does not rule out the old
 * format, and beside the share key lies a file key. Both are made to hold the public key, which decrypts to nothing.
 */
export async function damageFile(instance: NextcloudInstance): Promise<void> {
  const dav = new WebDav(instance.address, instance.admin, { session: false });
  const put = await dav.put(name, 'a file that nobody can read any more');
  if (put.status !== 201 && put.status !== 204) throw new Error(`writing ${name} answered ${put.status}`);
  const home = join(instance.dataFolder, instance.admin.user);
  const file = join(home, 'files', name);
  const text = readFileSync(file, 'latin1');
  const marker = 'useLegacyFileKey:false:';
  if (!text.includes(marker)) throw new Error(`${name} has no such header as was expected`);
  const header = text.replace(marker, '').replace('HEND', `HEND${'-'.repeat(marker.length)}`);
  writeFileSync(file, header, 'latin1');
  const keys = join(home, 'files_encryption', 'keys', 'files', name, 'OC_DEFAULT_MODULE');
  const system = join(instance.dataFolder, 'files_encryption', 'OC_DEFAULT_MODULE');
  const publicKey = readdirSync(system).find((one) => /^master_.*\.publicKey$/.test(one));
  const shareKey = readdirSync(keys).find((one) => one.endsWith('.shareKey'));
  if (publicKey === undefined || shareKey === undefined) throw new Error('the master key is not where it was expected');
  copyFileSync(join(system, publicKey), join(keys, shareKey));
  copyFileSync(join(system, publicKey), join(keys, 'fileKey'));
  if (process.getuid?.() === 0) {
    await run(['chown', '--reference', join(keys, shareKey), join(keys, 'fileKey')], { timeoutMs: 5_000 });
  }
}

/** Has the web server's PHP put arguments into stack traces, as PHP without a php.ini does. */
export async function showArguments(instance: NextcloudInstance): Promise<void> {
  const [config, pidFile] = ['nginx.conf', 'nginx.pid'].map((one) => join(instance.base, 'run', one));
  if (instance.server !== 'php-fpm' || config === undefined || pidFile === undefined) return;
  const before = 'fastcgi_param modHeadersAvailable true;';
  const text = readFileSync(config, 'utf8');
  if (text.includes(argumentsOff)) return;
  writeFileSync(config, text.replace(before, `fastcgi_param PHP_ADMIN_VALUE "${argumentsOff}";\n      ${before}`));
  process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGHUP');
  await sleep(500);
}

/** Opens the damaged file by every door; each has to fail. Answers how many doors were tried. */
export async function failToDecrypt(instance: NextcloudInstance): Promise<number> {
  await showArguments(instance);
  let doors = 0;
  for (const session of [false, true]) {
    const answer = await new WebDav(instance.address, instance.admin, { session }).get(name);
    if (answer.status === 200) throw new Error('the damaged file could be read');
    doors += 1;
  }
  const occ = [join(instance.root, 'occ'), '--no-ansi', 'files:get', `${instance.admin.user}/files/${name}`, '-'];
  const result = await run(instance.php(['-d', argumentsOff, ...occ]), {
    timeoutMs: 60_000,
    allowExit: 'any',
    cwd: instance.root,
    env: { TMPDIR: join(instance.base, 'tmp') },
  });
  if (result.exit === 0) throw new Error('occ could read the damaged file');
  return doors + 1;
}

export function nextcloudLog(instance: NextcloudInstance): string {
  const path = join(instance.dataFolder, 'nextcloud.log');
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

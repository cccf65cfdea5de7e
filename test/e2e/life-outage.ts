import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebDav } from '../harness/nextcloud-client.ts';
import { awayText } from './doors.ts';
import { filesWith, keyFiles } from './key-files.ts';
import { hasRamFolder, ramFiles } from './ram-files.ts';
import { assert, isSame, type Step } from './story.ts';

export const use: Step = async ({ doors, world }) => {
  const before = await world.tunnel?.receivedBytes();
  await doors.readByDav('stock');
  await doors.write('moved');
  await doors.read('moved');
  const after = await world.tunnel?.receivedBytes();
  if (before === undefined || after === undefined) return undefined;
  assert(after > before, 'nothing came through the tunnel');
  return `${after - before} bytes came through the tunnel`;
};

/** The key server is away, and what was fetched before goes on serving: in PHP-FPM, and for the command line. */
export const outage: Step = async (story) => {
  const { keyServer, doors, nextcloud } = story;
  await doors.readByLink(); // fills the cache of PHP-FPM
  await doors.readByOcc('stock-occ.txt'); // and that of the command line
  await keyServer.stop();
  await doors.readByLink();
  await doors.readByWeb();
  const answer = await new WebDav(nextcloud.address, nextcloud.admin, { session: false }).get('stock-dav.txt');
  assert(answer.status === 200, `WebDAV answered ${answer.status} although the key was cached`);
  if (!hasRamFolder()) return 'no tmpfs here: the command line keeps nothing';
  assert(ramFiles(story).length > 0, 'the command line cached nothing');
  await doors.readByOcc('stock-occ.txt');
  return undefined;
};

/** Nothing is cached any more and the key server is away: every door says so, and no key is made in place of it. */
export const noKey: Step = async (story) => {
  const { doors, nextcloud, memory } = story;
  const before = keyFiles(nextcloud.dataFolder);
  await nextcloud.stopServing();
  for (const path of ramFiles(story)) rmSync(path);
  await nextcloud.serve();
  const began = performance.now();
  const { dav, put, link, occ } = await doors.refusals();
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  assert(dav === 503, `WebDAV answered ${dav}, not 503`);
  assert(put === 503 || put === 201, `writing over WebDAV answered ${put}`);
  assert(occ !== 0, 'occ files:get said that all was well');
  await doors.refuseOverwriting('moved');
  const cron = await nextcloud.cron();
  assert(cron.exit === 0, `cron ended with exit code ${cron.exit}`);
  assert(isSame(before, keyFiles(nextcloud.dataFolder)), 'the files of keys have changed');
  const masterKeyId = await nextcloud.appValue('encryption', 'masterKeyId');
  assert(masterKeyId === memory.masterKeyId, `the master key is now ${masterKeyId}`);
  const clear = filesWith([awayText.trim()], [nextcloud.dataFolder]);
  assert(clear.length === 0, `content was written without a key: ${clear.join(', ')}`);
  return `dav ${dav}, put ${put}, link ${link}, four requests in ${seconds} s`;
};

/** Once the key server is back, so is everything, by itself. */
export const back: Step = async ({ keyServer, doors, nextcloud }) => {
  await keyServer.start();
  const dav = new WebDav(nextcloud.address, nextcloud.admin, { session: false });
  const began = performance.now();
  let status = 0;
  while (status !== 200 && performance.now() - began < 60_000) {
    status = (await dav.get('stock-dav.txt')).status;
    if (status !== 200) await sleep(500);
  }
  assert(status === 200, `WebDAV still answers ${status} a minute after the key server came back`);
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  await doors.read('moved'); // also those that were to be overwritten meanwhile
  await doors.readByDav('away');
  return `served again ${seconds} s after`;
};

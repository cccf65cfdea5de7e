import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../../platform/run.ts';
import { isRoot } from '../harness/nextcloud-files.ts';
import { hasProgram } from '../harness/programs.ts';
import { call } from '../keyserver/honest-client.ts';
import { type Attack, control, Findings } from './attack.ts';
import { auditTail, type EnrolledServer, holdsKey, keyId, startEnrolledServer } from './enrolled-server.ts';
import type { Scene } from './scene.ts';

/** The name under which a link is on record. */
function linkId(link: string): string {
  return createHash('sha256').update('id').update(Buffer.from(link, 'base64url')).digest('hex').slice(0, 16);
}

async function releasedLinks(made: EnrolledServer): Promise<ReadonlySet<unknown>> {
  const records = (await auditTail(made.server, 5000)) as readonly { event: string; link?: string }[];
  return new Set(records.filter((record) => record.event === 'key_released').map((record) => record.link));
}

/** A disk of 4 MiB of the test's own; `null` where one cannot be had. */
async function smallDisk(scene: Scene): Promise<string | null> {
  if (process.platform !== 'linux' || !isRoot() || !hasProgram('mount')) return null;
  const folder = join(scene.folder, 'small-disk');
  mkdirSync(folder);
  const mounted = await run(['mount', '-t', 'tmpfs', '-o', 'size=4m,mode=0700', 'small', folder], {
    timeoutMs: 10_000,
    allowExit: 'any',
  });
  if (mounted.exit !== 0) return null;
  scene.row.add(folder, async () => void (await run(['umount', folder], { timeoutMs: 10_000 })));
  return folder;
}

function fill(folder: string): string {
  const path = join(folder, 'filler');
  for (let size = 1 << 20; size >= 512; size = Math.floor(size / 2)) {
    for (let full = false; !full; ) {
      try {
        writeFileSync(path, Buffer.alloc(size, 1), { flag: 'a' });
      } catch {
        full = true;
      }
    }
  }
  return path;
}

/** The disk becomes full before open, and between open and release; afterwards there is room again. */
async function fullDisk(scene: Scene, found: Findings): Promise<string> {
  const folder = await smallDisk(scene);
  if (folder === null) return 'no small disk could be made here (root and mount are needed)';
  const made = await startEnrolledServer(scene, { folder });
  const { host, key } = made;
  const line = { port: made.port, agent: made.agent() };
  control(holdsKey(await host.exchange(line, [keyId]), key), 'nothing is released while there is room');
  const before = (await releasedLinks(made)).size;

  const open = await call(line, 'POST', '/v1/open', host.openHeaders(), host.openBody());
  host.opened(String(open.body.next));
  const filler = fill(folder);
  const release = await call(
    line,
    'POST',
    '/v1/release',
    host.headers(),
    host.releaseBody(String(open.body.session), [keyId]),
  );
  found.expect(release.status === 503 && !holdsKey(release, key), `release on a full disk answered ${release.status}`);
  let refused = 0;
  for (let turn = 0; turn < 20; turn++) {
    const answer = await host.exchange(line, [keyId]);
    found.expect(answer.status === 503 && !holdsKey(answer, key), `a full disk, and open answered ${answer.status}`);
    refused += answer.status === 503 ? 1 : 0;
  }
  const health = await call(line, 'GET', '/health', {});
  found.expect(health.status === 503 && health.body.status === 'degraded', `health says ${health.text}`);
  rmSync(filler);
  await sleep(300); // health and store look again
  const after = await host.exchange(line, [keyId]);
  found.expect(holdsKey(after, key), `with room again the host is answered ${after.status}`);
  found.expect((await releasedLinks(made)).size === before + 1, 'releases and records do not match');
  const verified = await made.server.command(['audit', 'verify'], { anyExit: true });
  found.expect(verified.exit === 0, 'the audit log is broken afterwards');
  return `full disk: ${refused + 1} times 503, no key, then on as before`;
}

/** SIGKILL at moments spread over an exchange; every key that came out must be on record when the server is back. */
async function killed(scene: Scene, found: Findings): Promise<string> {
  const made = await startEnrolledServer(scene, { policy: ['--rate', '36000/h', '--burst', '3000'] });
  const { host, key, server } = made;
  const paid: string[] = [];
  const kills = 8;
  for (let turn = 0; turn < kills; turn++) {
    const line = { port: made.port, agent: made.agent() };
    let running = true;
    const work = (async () => {
      while (running) {
        const answer = await host.exchange(line, [keyId]);
        if (holdsKey(answer, key)) paid.push(host.state.current);
        else if (answer.status === 423) found.expect(false, 'the honest host was taken for a copy');
      }
    })().catch(() => undefined); // the line breaks with the server
    // a machine that has much to do takes its time until the first key
    const [before, last] = [paid.length, performance.now() + 10_000];
    while (paid.length < before + 2 && performance.now() < last) await sleep(2);
    await sleep(turn * 7);
    await server.kill();
    running = false;
    await work;
    line.agent.destroy();
    await server.start();
  }
  const line = { port: made.port, agent: made.agent() };
  const after = await host.exchange(line, [keyId]);
  found.expect(holdsKey(after, key), `after ${kills} kills the host is answered ${after.status}`);
  const onRecord = await releasedLinks(made);
  const missing = paid.filter((link) => !onRecord.has(linkId(link)));
  found.expect(missing.length === 0, `${missing.length} keys came out without a record`);
  control(paid.length > kills, 'hardly any key came out: the kills were too early');
  const verified = await server.command(['audit', 'verify'], { anyExit: true });
  found.expect(verified.exit === 0, 'the audit log is broken afterwards');
  return `killed ${kills} times: all ${paid.length} releases on record, the log whole`;
}

export const worstMomentRow: Attack = {
  row: '13',
  attackerHas: 'a full disk or a killed process at the worst moment',
  stock: '-',
  latchkey: 'nothing released without a record, no key lost',
  run: async (scene) => {
    const found = new Findings();
    const words = [await fullDisk(scene, found), await killed(scene, found)];
    return found.outcome(words.join('; '));
  },
};

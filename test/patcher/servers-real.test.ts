import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../../platform/run.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { Detour } from '../harness/detour.ts';
import { freePort } from '../harness/free-port.ts';
import { KeyServer } from '../harness/keyserver-process.ts';
import { isRoot, webUser } from '../harness/nextcloud-files.ts';
import { instanceObstacle, NextcloudInstance } from '../harness/nextcloud-instance.ts';
import { listTrees } from '../harness/nextcloud-tree.ts';
import { hasProgram } from '../harness/programs.ts';
import { KeyHandover, leaveNoTraces } from './key-handover.ts';
import { type NcpatchRun, runNcpatch } from './ncpatch-run.ts';

const tree = listTrees().at(-1);
const canRun =
  tree !== undefined && isRoot() && instanceObstacle() === null && ['curl', 'openssl', 'flock'].every(hasProgram);
/** Moves the keys too, and has them released over each way; otherwise heartbeats are what goes over it. */
const isThorough = process.env.LATCHKEY_THOROUGH === '1';
const heartbeat = resolve(import.meta.dirname, '../../php-app/bin/heartbeat.sh');

// A real Nextcloud whose keys are at a real key server, reached first directly and then over another way.
describe.runIf(canRun)('ncpatch servers on a real nextcloud', { timeout: 300_000 }, () => {
  const cleanup = new Cleanup();
  const folder = mkdtempSync(join(tmpdir(), 'lk-servers-'));
  let nextcloud: NextcloudInstance;
  let keyServer: KeyServer;
  let detour: Detour;
  let direct: string;
  let state: string;

  const ncpatch = (name: string, ...more: string[]): Promise<NcpatchRun> =>
    runNcpatch([name, '--local', '--root', nextcloud.root, '--json', ...more]);
  async function done(name: string, ...more: string[]): Promise<Record<string, unknown>> {
    const { exit, stdout, stderr } = await ncpatch(name, ...more);
    expect(stderr).not.toContain('error:');
    expect(exit).toBe(0);
    return JSON.parse(stdout) as Record<string, unknown>;
  }
  async function refused(...more: string[]): Promise<string> {
    const before = readFileSync(join(state, 'client.json'), 'utf8');
    const { exit, stdout } = await ncpatch('servers', ...more);
    expect(exit).not.toBe(0);
    expect(readFileSync(join(state, 'client.json'), 'utf8')).toBe(before);
    return (JSON.parse(stdout) as { error: { code: string } }).error.code;
  }
  async function beat(): Promise<number> {
    const { uid, gid } = webUser;
    const as = ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', 'sh', heartbeat];
    const argv = [...as, state, nextcloud.instanceId] as unknown as [string];
    return (await run(argv, { timeoutMs: 60_000, allowExit: 'any' })).exit;
  }
  async function expectRelease(exit: number): Promise<void> {
    if (isThorough) expect((await ncpatch('verify')).exit).toBe(exit);
  }
  const client = (): Record<string, unknown> =>
    JSON.parse(readFileSync(join(state, 'client.json'), 'utf8')) as Record<string, unknown>;

  beforeAll(async () => {
    if (tree === undefined) throw new Error('no tree');
    cleanup.add(folder, () => rmSync(folder, { recursive: true, force: true }));
    nextcloud = await NextcloudInstance.install(tree, { cleanup });
    if (isThorough) {
      await nextcloud.enableEncryption();
      await nextcloud.occ(['encryption:status']);
    }
    state = `/var/lib/latchkey/${nextcloud.instanceId}`;
    leaveNoTraces(cleanup, nextcloud.instanceId);
    const handover = await KeyHandover.open(folder, cleanup);
    ({ keyServer } = handover);
    direct = handover.invitation.url;
    detour = await Detour.open(Number(new URL(direct).port));
    cleanup.add('detour', () => detour.close());
    await done('apply');
    await done('enroll', ...handover.enrolment);
    if (isThorough) await done('escrow', ...handover.escrow);
  }, 300_000);
  afterAll(async () => {
    expect(await cleanup.run()).toEqual([]);
  }, 120_000);

  test.runIf(isThorough)('a key server of somebody else is refused, checked or not', async () => {
    const other = await KeyServer.init({ data: join(folder, 'other'), port: await freePort(), cleanup });
    await other.start();
    const url = `https://${other.listen}`;
    expect(await refused('--url', url)).toBe('tls_failed');
    expect(await refused('--url', direct, '--url', url, '--unchecked')).toBe('tls_failed');
    await other.stop();
  });

  test.runIf(isThorough)('one that does not answer is refused, and taken when it is said so', async () => {
    const dead = `https://127.0.0.1:${await freePort()}`;
    expect(await refused('--url', direct, '--url', dead)).toBe('unreachable');
    const report = { urls: [dead, direct], changed: true, unchecked: [dead] };
    expect(await done('servers', '--url', dead, '--url', direct, '--unchecked')).toEqual(report);
    await expectRelease(0);
    expect(await beat()).toBe(0);
  });

  test('keys come over another way without a new enrolment, and nobody is taken for a copy', async () => {
    const before = client();
    expect(await done('servers', '--url', `${detour.url}/`)).toMatchObject({ urls: [detour.url], changed: true });
    expect(client()).toEqual({ ...before, urls: [detour.url] });
    await expectRelease(0);
    expect(await beat()).toBe(0);
    detour.close();
    expect(await beat()).toBe(1);
    await expectRelease(1);
    expect(await done('servers', '--url', direct)).toMatchObject({ urls: [direct] });
    await expectRelease(0);
    expect(await beat()).toBe(0);
    expect(await done('servers')).toEqual({ urls: [direct], changed: false, unchecked: [] });
    const { records } = (await keyServer.command(['audit', 'tail', '--lines', '400'])).json() as {
      records: { event: string }[];
    };
    const events = records.map(({ event }) => event);
    if (isThorough) expect(events).toContain('key_released');
    for (const alarm of ['fork_detected', 'server_rollback_suspected']) expect(events).not.toContain(alarm);
  });
});

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cleanup } from '../harness/cleanup.ts';
import { WholeMachine, wholeMachineObstacle } from '../harness/whole-machine.ts';
import { WholeNetwork } from '../harness/whole-network.ts';
import { madeRelease, pinnedNode, tarballOf, textOf } from './release.ts';

const obstacle = process.env.LATCHKEY_THOROUGH === '1' ? wholeMachineObstacle() : 'only when asked for';
const NODE = '/usr/local/lib/node/bin/node';
const NODE_UNITS = 'latchkey-node-look.service latchkey-node.service';
const HOOK = '/etc/latchkey/hook.json';
/** Keeps what a webhook is sent. */
const RECEIVER = `require('http').createServer((asked, answer) => {
  let text = '';
  asked.on('data', (piece) => (text += piece));
  asked.on('end', () => { require('fs').appendFileSync('/root/alerts', text + '\\n'); answer.end(); });
}).listen(8099, '127.0.0.1');`;

describe.skipIf(obstacle !== null)(
  `a release on a hub and a spoke with a real systemd each${obstacle === null ? '' : ` (${obstacle})`}`,
  () => {
    const cleanup = new Cleanup();
    let hub: WholeMachine;
    let spoke: WholeMachine;

    beforeAll(async () => {
      const shelf = mkdtempSync(join(tmpdir(), 'lk-shelf-'));
      cleanup.add(shelf, () => rmSync(shelf, { recursive: true }));
      const release = madeRelease('0.1.0');
      const archives = [await tarballOf(release, shelf), await tarballOf(madeRelease('0.1.1'), shelf)];
      const network = await WholeNetwork.build(cleanup);
      spoke = WholeMachine.build('home', { wire: network.home, cleanup });
      hub = WholeMachine.build('server', { wire: network.server, cleanup });
      await Promise.all([spoke.boot(), hub.boot()]);
      for (const machine of [hub, spoke]) {
        machine.write(NODE, readFileSync(pinnedNode), 0o755);
        machine.write('/root/install.sh', textOf(release, 'install.sh'));
        for (const [at, path] of archives.entries())
          machine.write(`/root/latchkey-0.1.${at}.tar.gz`, readFileSync(path));
        await machine.sh(`cd /root && sh install.sh --node ${NODE} latchkey-0.1.0.tar.gz`);
      }
    }, 400_000);
    afterAll(async () => expect(await cleanup.run()).toEqual([]));

    const alerts = async (): Promise<unknown[]> =>
      (await spoke.sh('cat /root/alerts 2>/dev/null || :'))
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line).alerts[0].event);
    const active = (units: string) => spoke.sh(`systemctl is-active ${units} || :`);

    it('connects them by files of generate', async () => {
      const generate = `wghub generate --hub ${hub.address}:51820 --spokes attic --network 10.66.0.0/24 --out network`;
      await hub.sh(`cd /root && ${generate}`);
      spoke.write('/root/wg0.conf', readFileSync(hub.path('/root/network/node-attic/wg0.conf')), 0o600);
      await hub.sh(
        'cd /root && wghub provision hub --interface-file network/hub/wg0.conf --run && wghub provision confirm',
      );
      const wish = '--network 10.66.0.0/24 --hub-address 10.66.0.1 --interface-file /root/wg0.conf';
      await spoke.sh(`wghub provision spoke ${wish} --run && wghub provision confirm`);
      await expect.poll(() => spoke.tries('busybox ping -c 1 -W 1 10.66.0.1'), { timeout: 30_000 }).toBe(true);
    }, 120_000);

    it('has the spoke tell how it is, by a service without rights', async () => {
      await spoke.sh('useradd --system --no-create-home latchkey-node');
      const print = 'wgnode service print --listen 10.66.0.11:8000 --interface wg0 --write';
      expect(await spoke.sh(print)).toContain('wrote /etc/systemd/system/latchkey-node-look.service and ');
      await spoke.sh(`systemctl daemon-reload && systemctl enable --now ${NODE_UNITS}`);
      const health = () => spoke.sh('curl -fs -m 2 http://10.66.0.11:8000/health || :');
      await expect.poll(health, { timeout: 30_000 }).toBe('{"status":"ok","reasons":[]}');
      expect(await spoke.sh('ps -o user= -p $(systemctl show -P MainPID latchkey-node.service)')).toBe(
        'latchkey-node\n',
      );
      const status = JSON.parse(await spoke.sh('curl -fs -m 2 http://10.66.0.11:8000/status'));
      expect(status).toMatchObject({
        hostname: 'home',
        interfaces: [{ name: 'wg0', up: true, peers: [{ stale: false }] }],
      });
      expect(await hub.tries('curl -fs -m 2 http://10.66.0.11:8000/health')).toBe(false); // it begins nothing
    }, 90_000);

    it('checks the tunnel, restarts it through systemd and tells a webhook', async () => {
      spoke.write('/root/receiver.js', RECEIVER);
      await spoke.sh(`systemd-run --unit=receiver ${NODE} /root/receiver.js`);
      spoke.write(HOOK, '{"kind":"webhook","url":"http://127.0.0.1:8099/canary-7731"}', 0o600);
      await expect.poll(() => spoke.tries(`wgnode check try --alert-channel ${HOOK}`), { timeout: 20_000 }).toBe(true);
      const words = `--interface wg0 --alert-channel ${HOOK} --bad-rounds 1 --good-rounds 1`;
      await spoke.sh(`wgnode check print --form systemd ${words} --write && systemctl daemon-reload`);
      await spoke.sh('systemctl enable --now latchkey-node-check.timer');
      const round = () => spoke.tries('systemctl start latchkey-node-check.service');
      await expect.poll(round, { timeout: 30_000 }).toBe(true);
      await spoke.sh('ip link delete wg0');
      const plugin = await spoke.run(['wgnode', 'check', '--nagios', '--interface', 'wg0']);
      expect([plugin.exit, plugin.stdout.toString()]).toEqual([2, 'CRITICAL: wg0 is down\n']);
      expect(await round()).toBe(false);
      await expect.poll(round, { timeout: 60_000 }).toBe(true);
      expect(await spoke.sh('wgnode check --nagios --interface wg0')).toMatch(
        /^OK: wg0 is up, handshake of wg0 \d+ s ago \|/,
      );
      expect(await alerts()).toEqual(['test', 'interface_down', 'interface_down']);
      expect(await spoke.sh('journalctl --no-pager -u latchkey-node-check')).toContain(
        '[#] systemctl restart wg-quick@wg0',
      );
      expect(await spoke.sh('journalctl --no-pager; ps ax')).not.toContain('canary-7731');
    }, 180_000);

    it('goes on with the next release, and back, and is back after a power cut', async () => {
      const mainPid = () => spoke.sh('systemctl show -P MainPID latchkey-node.service');
      const before = await mainPid();
      const said = await spoke.sh(`cd /root && sh install.sh --node ${NODE} latchkey-0.1.1.tar.gz`);
      expect(said).toContain('restarted: latchkey-node-look.service latchkey-node.service');
      expect(await mainPid()).not.toBe(before);
      await spoke.sh('sh /opt/latchkey/current/install.sh --rollback');
      expect(await spoke.sh('wgnode --version')).toBe('0.1.0\n');
      await spoke.cutPower();
      await spoke.boot();
      const health = () => spoke.sh('curl -fs -m 2 http://10.66.0.11:8000/health || :');
      await expect.poll(health, { timeout: 60_000 }).toBe('{"status":"ok","reasons":[]}');
      expect(await active('latchkey-node-check.timer')).toBe('active\n');
    }, 180_000);

    it('is taken away once nothing starts it any more, and the tunnel stays', async () => {
      const refused = await spoke.run(['sh', '/root/install.sh', '--uninstall']);
      expect(refused).toMatchObject({ exit: 3, stderr: expect.stringContaining('latchkey-node-check.service') });
      expect(await active(NODE_UNITS)).toBe('active\nactive\n');
      await spoke.sh(`systemctl disable --now latchkey-node-check.timer ${NODE_UNITS}`);
      await spoke.sh('rm /etc/systemd/system/latchkey-node* && systemctl daemon-reload');
      await spoke.sh('sh /root/install.sh --uninstall --purge');
      expect(await spoke.sh('ls -d /opt/latchkey /var/lib/latchkey /usr/local/bin/w* 2>/dev/null || :')).toBe('');
      expect(await spoke.tries('busybox ping -c 1 -W 2 10.66.0.1')).toBe(true);
    }, 90_000);
  },
);

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { addInitCommand } from '../../wireguard/commands/init.ts';
import { readConfig } from '../../wireguard/data/hub-config.ts';
import { runHubCommand } from './command-runner.ts';

const folder = mkdtempSync(join(tmpdir(), 'lk-monitoring-init-'));
afterAll(() => rmSync(folder, { recursive: true }));

let number = 0;
async function init(...options: string[]) {
  number += 1;
  const data = join(folder, `hub${number}`);
  const where = ['--data', data, '--keyfile', join(folder, `key${number}`), '--endpoint', 'hub.example:51820'];
  return { data, ...(await runHubCommand(addInitCommand, ['init', ...where, '--driver', 'memory', ...options])) };
}

test('init says for how many peers there are figures of each alone, 200 unless told', async () => {
  expect(readConfig((await init()).data).metrics).toEqual({ from: [], peers: 200 });
  const told = await init('--metrics-peers', '0', '--metrics-from', '10.0.1.0/24');
  expect(readConfig(told.data).metrics).toEqual({ from: ['10.0.1.0/24'], peers: 0 });
  expect(readConfig((await init('--metrics-peers', '10000')).data).metrics.peers).toBe(10_000);
});

test.each(['-1', '10001', 'all', '2.5', '0x10', ''])(
  'init refuses --metrics-peers %j and makes nothing',
  async (count) => {
    const { data, exit, stderr } = await init(`--metrics-peers=${count}`);
    expect(exit).toBe(2);
    expect(stderr).toContain('"--metrics-peers"');
    expect(existsSync(data)).toBe(false);
  },
);

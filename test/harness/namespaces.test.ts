import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { run } from '../../platform/run.ts';
import { type Argv, BackgroundProcess } from './background-process.ts';
import { Cleanup } from './cleanup.ts';
import { buildTunnel, tunnelObstacle } from './namespaces.ts';

const obstacle = tunnelObstacle();
const cleanup = new Cleanup();
const node = process.execPath;

afterEach(async () => {
  expect(await cleanup.run()).toEqual([]);
});

function serve(address: string): Argv {
  const script = `require('node:http').createServer((q, r) => r.end('through')).listen(8000, '${address}', () => console.log('ready'))`;
  return [node, '-e', script];
}

async function ask(from: (argv: Argv) => Argv, address: string): Promise<string> {
  const script = `fetch('http://${address}:8000/', { signal: AbortSignal.timeout(2000) }).then((r) => r.text()).then(console.log, () => console.log('nothing'))`;
  const answer = await run(from([node, '-e', script]), { timeoutMs: 20_000 });
  return answer.stdout.toString('utf8').trim();
}

async function namespaces(): Promise<string> {
  return (await run(['ip', 'netns', 'list'], { timeoutMs: 10_000 })).stdout.toString('utf8');
}

describe.skipIf(obstacle !== null)(`buildTunnel() ${obstacle ?? ''}`, () => {
  it('joins two namespaces by WireGuard, which this machine itself cannot reach', async () => {
    const tunnel = await buildTunnel(cleanup);
    const { address } = tunnel.keyServer;
    const server = await BackgroundProcess.start(tunnel.keyServer.inside(serve(address)), { readyWhen: /ready/ });
    cleanup.add('server', () => server.stop());
    const before = await tunnel.receivedBytes();
    expect(await ask((argv) => argv, address)).not.toBe('through');
    expect(await ask(tunnel.nextcloud.inside, address)).toBe('through');
    expect(await tunnel.receivedBytes()).toBeGreaterThan(before);
  });

  it('leaves nothing behind, also when its process is told to end', async () => {
    const script = `
      const { Cleanup } = await import('${join(resolve(import.meta.dirname), 'cleanup.ts')}');
      const { buildTunnel } = await import('${join(resolve(import.meta.dirname), 'namespaces.ts')}');
      const cleanup = new Cleanup();
      cleanup.guard();
      await buildTunnel(cleanup);
      console.log('ready');
      setInterval(() => undefined, 1000);`;
    const builder = await BackgroundProcess.start([node, '--input-type=module', '-e', script], { readyWhen: /ready/ });
    expect(await namespaces()).toContain(`lk${builder.pid}-0a`);
    await builder.stop(10_000);
    expect(await namespaces()).not.toContain(`lk${builder.pid}-`);
    expect(existsSync(`/var/run/wireguard/lkw${builder.pid}-0a.sock`)).toBe(false);
  });
});

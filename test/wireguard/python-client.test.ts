import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../../platform/run.ts';
import { readConfig } from '../../wireguard/config/read-config.ts';
import type { Payloads } from '../../wireguard/gateways/gateway-store.ts';
import { hasProgram } from '../harness/programs.ts';
import { type RunningHub, startRunningHub } from './running-hub.ts';
import { registerGateway } from './signed-request.ts';

const client = new URL('../../wireguard/clients/python', import.meta.url).pathname;
const vectors = new URL('../../wireguard/gateways/vectors.json', import.meta.url).pathname;
const walk = new URL('gateway_walk.py', import.meta.url).pathname;

interface Step {
  readonly step: string;
  readonly status: number;
  readonly code: string | null;
  // biome-ignore lint/suspicious/noExplicitAny: what a test expects of it says what it is
  readonly answer: any;
}

/** Debian's Python, for which its packages are, and not one that stands before it on the PATH. */
const program = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3';

async function python(args: readonly string[], input = ''): Promise<{ exit: number; stdout: string; stderr: string }> {
  const env = { PYTHONPATH: client, PYTHONDONTWRITEBYTECODE: '1', PYTHONIOENCODING: 'utf-8' };
  const said = await run([program, ...args], { timeoutMs: 60_000, allowExit: 'any', env, input });
  return { exit: said.exit, stdout: said.stdout.toString('utf8'), stderr: said.stderr };
}

const hasPython = hasProgram('python3');
const canSeal = hasPython && (await python(['-c', 'import cryptography'])).exit === 0;

describe.skipIf(!hasPython)('the example client in Python', () => {
  let hub: RunningHub;
  let folder: string;
  beforeAll(async () => {
    hub = await startRunningHub();
    folder = mkdtempSync(join(tmpdir(), 'lk-python-'));
  });
  afterAll(async () => {
    await hub.stop();
    rmSync(folder, { recursive: true });
  });

  async function walked(name: string, payloads: Payloads, sealed: boolean): Promise<ReadonlyMap<string, Step>> {
    const { secret } = await registerGateway(hub, name, { payloads });
    const { exit, stdout, stderr } = await python(
      [walk],
      JSON.stringify({ url: hub.url, name, secret: secret.toString('base64url'), sealed }),
    );
    expect([exit, stderr]).toEqual([0, '']);
    const lines = stdout.trim().split('\n');
    return new Map(lines.map((line) => JSON.parse(line) as Step).map((step) => [step.step, step]));
  }

  test('agrees with the published vectors of signatures', async () => {
    const said = await python(['-m', 'latchkey_gateway.vectors', vectors, '--without-payloads']);
    expect(said).toMatchObject({ exit: 0, stderr: '' });
    expect(said.stdout).toMatch(/^passed: signatures held \d+, signatures refused \d+, times \d+, nonces \d+\n$/);
  });

  test.skipIf(!canSeal)('agrees with the published vectors of payloads', async () => {
    const said = await python(['-m', 'latchkey_gateway.vectors', vectors]);
    expect(said).toMatchObject({ exit: 0, stderr: '' });
    expect(said.stdout).toMatch(/, payloads held \d+, payloads refused \d+\n$/);
  });

  test('says which vector it does not agree with', async () => {
    const wrong = join(folder, 'wrong.json');
    const text = readFileSync(vectors, 'utf8');
    const [first] = JSON.parse(text).signatures.held;
    const turned = `${first.signature.slice(0, -1)}${first.signature.endsWith('0') ? '1' : '0'}`;
    writeFileSync(wrong, text.replace(`"signature": "${first.signature}"`, `"signature": "${turned}"`));
    const said = await python(['-m', 'latchkey_gateway.vectors', wrong, '--without-payloads']);
    expect(said.exit).toBe(1);
    expect(said.stdout).toContain(`not as it must be: signature: ${first.name}\n`);
  });

  test.each<[string, Payloads, boolean]>([
    ['python-plain', 'plain', false],
    ...(canSeal ? ([['python-sealed', 'sealed', true]] as [string, Payloads, boolean][]) : []),
  ])('lives the life of a gateway: %s', async (name, payloads, sealed) => {
    const steps = await walked(name, payloads, sealed);
    const outcome = Object.fromEntries([...steps].map(([step, { status, code }]) => [step, code ?? status]));
    expect(outcome).toEqual({
      create: 200,
      'create with a key': 200,
      'create it again': 'PUBLIC_KEY_EXISTS',
      disable: 200,
      enable: 200,
      usage: 200,
      status: 200,
      metrics: 200,
      delete: 200,
      'delete it again': 'PEER_NOT_FOUND',
      'delete the other': 200,
      'send once': 200,
      'send once more': 'UNAUTHORIZED',
      'send elsewhere': 'UNAUTHORIZED',
      'clock -310': 'UNAUTHORIZED',
      'clock +310': 'UNAUTHORIZED',
      'clock -290': 200,
      'clock +290': 200,
      'another secret': 'UNAUTHORIZED',
      // an answer that is not sealed is not taken for one that is
      'sealed against its will': sealed ? 200 : 'PAYLOAD_ERROR',
      peers: 200,
    });
    const made = steps.get('create')?.answer;
    expect(readConfig(made.config).interface).toMatchObject({ privateKey: made.privateKey, addresses: made.addresses });
    expect(steps.get('disable')?.answer.peer).toMatchObject({ enabled: false, allowedIPs: ['192.168.9.0/24'] });
    expect(steps.get('enable')?.answer.peer).toMatchObject({ enabled: true });
    const { total, used, free } = steps.get('usage')?.answer.ipv4 ?? {};
    expect([total, used + free]).toEqual([253, 253]);
    expect(steps.get('status')?.answer.peers).toHaveLength(2);
    expect(steps.get('peers')?.answer).toMatchObject([{ name: 'once' }]);
  });

  test('is a program too, which keeps a configuration in a file of its own and shows no secret', async () => {
    const { secret } = await registerGateway(hub, 'python-shell');
    const secretFile = join(folder, 'secret');
    const text = secret.toString('base64url');
    writeFileSync(secretFile, `${text}\n`, { mode: 0o644 });
    const shell = (...args: string[]) =>
      python([
        '-m',
        'latchkey_gateway',
        '--url',
        hub.url,
        '--name',
        'python-shell',
        '--secret-file',
        secretFile,
        ...args,
      ]);
    expect(await shell('usage')).toMatchObject({ exit: 1, stdout: '', stderr: expect.stringContaining('chmod 600') });
    rmSync(secretFile);
    writeFileSync(secretFile, `${text}\n`, { mode: 0o600 });
    const out = join(folder, 'laptop.conf');
    const refused = await shell('create', '--address', '10.0.2.1', '--out', out);
    expect(refused).toMatchObject({ exit: 1, stderr: expect.stringContaining('400 INVALID_ADDRESS') });
    const { exit, stdout } = await shell('create', '--peer-name', 'laptop', '--preshared-key', '--out', out);
    expect([exit, statSync(out).mode & 0o777]).toEqual([0, 0o600]);
    const config = readConfig(readFileSync(out, 'utf8'));
    for (const kept of [config.interface.privateKey, config.peers[0]?.presharedKey, text]) {
      expect(kept).toHaveLength(kept === text ? 43 : 44);
      expect(stdout).not.toContain(kept);
    }
    expect(await shell('create', '--out', out)).toMatchObject({ exit: 1 });
    expect(JSON.parse((await shell('peers')).stdout)).toMatchObject([{ name: 'laptop' }]);
    expect(await shell('delete', JSON.parse(stdout).publicKey)).toMatchObject({ exit: 0 });
  });
});

import { spawn } from 'node:child_process';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { run } from '../../platform/run.ts';
import type { Cleanup } from '../harness/cleanup.ts';
import type { HubPlace } from './wghub-place.ts';

const project = resolve(import.meta.dirname, '..', '..');
const node = [process.execPath, '--disable-warning=ExperimentalWarning'];

/** Runs a part of the benchmark in the hub's namespace, with its order on stdin; what it prints is the result. */
export async function answerOf(place: HubPlace, file: string, order: unknown): Promise<unknown> {
  const { stdout } = await run(place.inside([...node, resolve(import.meta.dirname, file)]), {
    input: JSON.stringify(order),
    timeoutMs: 300_000,
    onStderr: (chunk) => process.stderr.write(chunk),
  });
  return JSON.parse(stdout.toString('utf8'));
}

/** A hub that serves. */
export interface StartedHub {
  /** From its start to its first answer. */
  readonly millis: number;
  /** The socket of its probe. */
  readonly probe: string;
  stop(): Promise<void>;
}

/** As an operator starts it. */
export async function startHub(place: HubPlace, cleanup: Cleanup): Promise<StartedHub> {
  const probe = join(dirname(place.data), 'probe.sock');
  const argv = [resolve(project, 'platform/launch.mjs'), 'wireguard/main.ts', 'start'];
  const [command, ...rest] = place.inside([
    ...[process.execPath, ...argv],
    ...['--data', place.data, '--keyfile', place.keyfile, '--json'],
  ]);
  const begun = performance.now();
  const NODE_OPTIONS = `--import ${pathToFileURL(resolve(import.meta.dirname, 'wghub-probe.ts'))}`;
  const child = spawn(command, rest, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, WGHUB_PROBE: probe, NODE_OPTIONS },
  });
  const ended = new Promise<void>((done) => child.once('exit', () => done()));
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    await ended;
  };
  cleanup.add('hub', stop);
  await new Promise<void>((serving, failed) => {
    child.stdout?.once('data', () => serving());
    child.once('exit', (code) => failed(new Error(`the hub ended early: exit ${code}`)));
  });
  return { millis: performance.now() - begun, probe, stop };
}

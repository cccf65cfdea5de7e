import { cpSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemRandom } from '../../platform/clock.ts';
import { run } from '../../platform/run.ts';
import { type Argv, BackgroundProcess } from '../harness/background-process.ts';
import { KeyServer, projectProgram } from '../harness/keyserver-process.ts';
import { buildTunnel, type Tunnel } from '../harness/namespaces.ts';
import type { Place } from '../harness/place.ts';
import { keyId } from './enrolled-server.ts';
import type { Scene } from './scene.ts';

/** A key server at one end of a real tunnel, and hosts at the other that are processes with a folder each. */
export interface TunnelledServer {
  readonly tunnel: Tunnel;
  readonly server: KeyServer;
  /** Moves the clock of all machines ahead, by so many milliseconds in all. */
  moveClock(skew: number): void;
  /** The owner says yes. */
  approve(id: string): Promise<void>;
  /** Adds a client and enrols a host for it, at the Nextcloud's end. */
  addHost(name: string, policy?: readonly string[]): Promise<Host>;
}

/** What a host answered: a status, and the body. */
export interface HostAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** A machine: where it stands in the network, and since which start. */
export interface Machine {
  readonly place: Place;
  readonly bootId: string;
}

export interface Host {
  readonly folder: string;
  readonly machine: Machine;
  readonly key: Buffer;
  /** The same host from a copy of its disk, on another machine. */
  clone(machine: Machine): Host;
  ask(what: 'exchange' | 'heartbeat'): Promise<HostAnswer>;
}

const bootIds = { original: '6f1b7a52-0000-4000-8000-0123456789ab', other: '0d7cc1d5-1111-4111-8111-ba9876543210' };
export const otherBootId = bootIds.other;

const [node, quiet] = projectProgram('keyserver/main.ts');
const script = (name: string): string => resolve(import.meta.dirname, name);
const port = 8443;

export async function startTunnelledServer(scene: Scene): Promise<TunnelledServer> {
  const folder = mkdtempSync(join(scene.folder, 'tunnelled-'));
  const tunnel = await buildTunnel(scene.row);
  const { keyServer, nextcloud } = tunnel;
  const data = join(folder, 'data');
  const server = await KeyServer.init({ data, port, cleanup: scene.row, place: keyServer });
  const skewFile = join(folder, 'skew');
  let skew = 0;
  const moveClock = (to: number): void => {
    skew = to;
    writeFileSync(skewFile, String(to));
  };
  moveClock(0);
  const movedClock: Argv = [node, quiet ?? '', script('moved-clock-keyserver.ts'), skewFile];
  const serve: Argv = [...movedClock, 'start', '--data', data, '--keyfile', `${data}.keyfile`];
  const running = await BackgroundProcess.start(keyServer.inside(serve), { readyWhen: /^serving /m });
  scene.row.add('key server', () => running.stop());

  const host = (own: string, machine: Machine, key: Buffer): Host => ({
    folder: own,
    machine,
    key,
    clone: (elsewhere) => {
      const copy = mkdtempSync(join(scene.folder, 'clone-'));
      cpSync(own, copy, { recursive: true });
      return host(copy, elsewhere, key);
    },
    ask: (what) => ask(machine, own, what, skew, tunnel.renewSession),
  });
  const addHost = async (name: string, policy: readonly string[] = []): Promise<Host> => {
    const { code, grant, ca } = await server.addClient(name, ['--from', `${nextcloud.address}/32`]);
    if (policy.length > 0) await server.command(['client', 'policy', name, ...policy]);
    const own = join(folder, name);
    const key = systemRandom(3400);
    mkdirSync(own, { mode: 0o700 });
    const known = { host: keyServer.address, port, ca, keyId, code, grant, key: key.toString('base64') };
    writeFileSync(join(own, 'host.json'), JSON.stringify(known), { mode: 0o600 });
    const machine = { place: nextcloud, bootId: bootIds.original };
    const { status } = await ask(machine, own, 'enrol', skew, tunnel.renewSession);
    if (status !== 201) throw new Error(`enrolment answered ${status}`);
    return host(own, machine, key);
  };
  const approve = async (id: string): Promise<void> => {
    await run([...movedClock, 'approval', 'approve', id, '--data', data], { timeoutMs: 30_000 });
  };
  return { tunnel, server, moveClock, addHost, approve };
}

/** Two holders of one WireGuard key take the tunnel from each other, and a try may fall into that. */
const tries = 8;

async function ask(
  machine: Machine,
  folder: string,
  what: string,
  skew: number,
  renewSession: Tunnel['renewSession'],
): Promise<HostAnswer> {
  await renewSession(machine.place);
  const surroundings = JSON.stringify({ bootId: machine.bootId, skew });
  const argv: Argv = [node, quiet ?? '', script('host-process.ts'), folder, what, surroundings];
  for (let left = tries; ; left--) {
    const result = await run(machine.place.inside(argv), { timeoutMs: 30_000, allowExit: 'any' });
    if (result.exit === 0) return JSON.parse(result.stdout.toString('utf8')) as HostAnswer;
    if (left === 1) throw new Error(`${what} got no answer: ${result.stderr.slice(-300)}`);
    await sleep(500);
  }
}

/** Whether this answer hands out the host's key. */
export function givesKey(answer: HostAnswer, { key }: Host): boolean {
  return JSON.stringify(answer.body).includes(key.toString('base64'));
}

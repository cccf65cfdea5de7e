import { readFileSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { type EnrolledServer, keyId, startEnrolledServer } from '../attacks/enrolled-server.ts';
import { call } from '../keyserver/honest-client.ts';
import { finished } from './disk-faults.ts';
import { type Fault, recoveryLimit } from './fault.ts';
import { Witness } from './witness.ts';

const policy = ['--rate', '360000/h', '--burst', '30000', '--lockout', 'off'];
const idleCount = 10_000;
const slowCount = 2_000;
const perSource = 250;

/** Another loopback address for every few hundred connections, as one source may not have them all. */
const sourceOf = (index: number): string => `127.0.1.${1 + Math.floor(index / perSource)}`;

function residentMiB(pid: number | null): number {
  const status = pid === null ? '' : readFileSync(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN) / 1024);
}

/** Connects, and says whether the server kept it. */
function opened(socket: Socket, event: 'connect' | 'secureConnect'): Promise<Socket | null> {
  return new Promise((resolve) => {
    socket.once(event, () => resolve(socket));
    socket.once('close', () => resolve(null));
    socket.on('error', () => undefined);
  });
}

async function openMany(count: number, open: (index: number) => Promise<Socket | null>): Promise<Socket[]> {
  const sockets: Socket[] = [];
  for (let index = 0; index < count; index += 100) {
    const some = await Promise.all(Array.from({ length: 100 }, (_, more) => open(index + more)));
    for (const socket of some) if (socket !== null) sockets.push(socket);
  }
  return sockets;
}

export const idleConnections: Fault = {
  name: 'idle connections',
  run: async (scene) => {
    const made = await startEnrolledServer(scene, { policy });
    const witness = new Witness(made);
    await witness.servedAgain(recoveryLimit);
    const before = residentMiB(made.server.pid);
    witness.answers();
    const sockets = await openMany(idleCount, (index) =>
      opened(connectTcp({ host: '127.0.0.1', port: made.port, localAddress: sourceOf(index) }), 'connect'),
    );
    const during = residentMiB(made.server.pid);
    await delay(2_000);
    const meanwhile = `${witness.answers()}; memory ${before} to ${during} MiB`;
    for (const socket of sockets) socket.destroy();
    return finished(witness, made.server, `${idleCount} connections that say nothing, from 40 addresses`, meanwhile);
  },
};

export const slowConnections: Fault = {
  name: 'slow connections',
  run: async (scene) => {
    const made = await startEnrolledServer(scene, { policy });
    const witness = new Witness(made);
    await witness.servedAgain(recoveryLimit);
    const before = residentMiB(made.server.pid);
    witness.answers();
    const began = performance.now();
    const sockets = await openMany(slowCount, (index) =>
      opened(
        connectTls({
          socket: connectTcp({ host: '127.0.0.1', port: made.port, localAddress: sourceOf(index) }),
          ca: made.ca,
          servername: 'localhost',
        }),
        'secureConnect',
      ),
    );
    const request = 'POST /v1/open HTTP/1.1\r\nHost: localhost\r\nX-Slow: ';
    for (let at = 0; at < 15; at++) {
      for (const socket of sockets) if (socket.writable) socket.write(request[at] ?? 'x');
      await delay(1_000);
    }
    const cut = sockets.filter((socket) => socket.destroyed || socket.readableEnded).length;
    const during = residentMiB(made.server.pid);
    const seconds = Math.round((performance.now() - began) / 1000);
    const meanwhile = `${witness.answers()}; ${cut} of them cut off; memory ${before} to ${during} MiB`;
    for (const socket of sockets) socket.destroy();
    const done = `${sockets.length} of ${slowCount} TLS connections, a byte of header a second each, ${seconds} s`;
    return finished(witness, made.server, done, meanwhile);
  },
};

const pieces = ['', '\0', '\r\n', '"', '{', '}', 'é', ' ', ',', '\\', '%00', ':', '9'.repeat(30), 'A'.repeat(200)];

function withFaults(text: string): string {
  let faulty = text;
  for (let left = 1 + Math.floor(Math.random() * 3); left > 0; left--) {
    const at = Math.floor(Math.random() * faulty.length);
    faulty = `${faulty.slice(0, at)}${pick(pieces)}${faulty.slice(at + Math.floor(Math.random() * 4))}`;
  }
  return faulty;
}

/**
 * A whole request with something wrong in it: mostly in the body, sometimes anywhere. The token is wrong in all of them: a
 * request that a fault happened to leave whole would otherwise be one of a copy.
 */
function mutated(made: EnrolledServer): Buffer {
  const host = made.host.copy(); // its own clock and state, so that the honest host's are not moved
  const release = host.releaseBody('A'.repeat(43), [keyId]);
  const whole = JSON.stringify(pick<object>([host.openBody(), release, host.heartbeatBody()]));
  const inBody = Math.random() < 0.9;
  const body = inBody ? withFaults(whole) : whole;
  const credentials = { ...host.openHeaders(), 'X-Auth-Token': 'A'.repeat(43) };
  const headers = Object.entries({ Host: 'localhost', 'Content-Type': 'application/json', ...credentials });
  const path = pick(['/v1/open', '/v1/release', '/v1/heartbeat', `/v1/keys/${keyId}`, '/v1/enroll']);
  const head = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  const start = `${path.includes('keys') ? 'PUT' : 'POST'} ${path} HTTP/1.1\r\n${head}`;
  const text = `${start}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
  return Buffer.from(inBody ? text : withFaults(text));
}

function pick<T>(list: readonly T[]): T {
  return list[Math.floor(Math.random() * list.length)] as T;
}

export const mutatedRequests: Fault = {
  name: 'mutated requests',
  run: async (scene, { requests, timeLimit }) => {
    const made = await startEnrolledServer(scene, { policy });
    const witness = new Witness(made);
    await witness.servedAgain(recoveryLimit);
    const before = residentMiB(made.server.pid);
    const until = Date.now() + timeLimit;
    const statuses = new Map<string, number>();
    let answered = 0;
    const lane = async (): Promise<void> => {
      while (answered < requests && Date.now() < until) {
        const socket = connectTls({ host: '127.0.0.1', port: made.port, ca: made.ca, servername: 'localhost' });
        if ((await opened(socket, 'secureConnect')) === null) {
          await delay(20);
          continue;
        }
        let next: () => void = () => undefined;
        socket.once('close', () => next());
        socket.on('data', (chunk: Buffer) => {
          for (const [, status = ''] of chunk.toString('latin1').matchAll(/^HTTP\/1\.1 (\d{3})/gm)) {
            statuses.set(status, (statuses.get(status) ?? 0) + 1);
            answered += 1;
          }
          next();
        });
        while (socket.writable && answered < requests && Date.now() < until) {
          const heard = new Promise<void>((resolve) => {
            next = resolve;
          });
          socket.write(mutated(made));
          // one whose end the server still waits for is given up
          const isAnswered = await Promise.race([heard.then(() => true), delay(100, false, { ref: false })]);
          if (!isAnswered) break;
        }
        socket.destroy();
      }
    };
    await Promise.all(Array.from({ length: 16 }, lane));
    const after = residentMiB(made.server.pid);
    const counted = [...statuses].sort().map(([status, count]) => `${count} × ${status}`);
    if (statuses.has('500')) throw new Error(`answered 500: ${counted.join(', ')}`);
    const health = await call({ port: made.port, agent: made.agent() }, 'GET', '/health', {});
    if (health.status !== 200) throw new Error(`health says ${health.text}`);
    const meanwhile = `${counted.join(', ')}; the honest host: ${witness.answers()}; memory ${before} to ${after} MiB`;
    return finished(witness, made.server, `${answered} answered requests with something wrong`, meanwhile);
  },
};

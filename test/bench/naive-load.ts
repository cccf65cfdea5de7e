import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';

/** Asks the naive server for its key over and over, one request under way on each connection. */
interface Order {
  readonly port: number;
  readonly token: string;
  readonly connections: number;
  readonly requests: number;
}

const order = JSON.parse(readFileSync(0, 'utf8')) as Order;
const request = `GET /key HTTP/1.1\r\nHost: localhost\r\nX-Auth-Token: ${order.token}\r\n\r\n`;
const warmUp = Math.ceil(order.requests / 10);
const took: number[] = [];
let begun = 0;
let done = 0;
let firstCounted = 0;

function drive(socket: Socket): void {
  let held = '';
  let started = 0;
  const begin = () => {
    if (begun >= warmUp + order.requests) return;
    begun += 1;
    started = performance.now();
    socket.write(request);
  };
  socket.on('data', (chunk) => {
    held += chunk.toString('latin1');
    const head = held.indexOf('\r\n\r\n');
    const length = /content-length: (\d+)/i.exec(held);
    if (head === -1 || length === null || held.length < head + 4 + Number(length[1])) return;
    held = '';
    done += 1;
    if (done === warmUp) firstCounted = performance.now();
    if (done > warmUp) took.push(performance.now() - started);
    if (done === warmUp + order.requests) report();
    else begin();
  });
  begin();
}

function report(): void {
  const perSecond = took.length / ((performance.now() - firstCounted) / 1000);
  took.sort((a, b) => a - b);
  const at = (share: number): number => took[Math.min(took.length - 1, Math.floor(took.length * share))] ?? 0;
  process.stdout.write(`${JSON.stringify({ perSecond, p50: at(0.5), p99: at(0.99), max: took.at(-1) ?? 0 })}\n`);
  process.exit(0);
}

for (let n = 0; n < order.connections; n++) {
  const socket = connect({ host: '127.0.0.1', port: order.port, noDelay: true }, () => drive(socket));
}

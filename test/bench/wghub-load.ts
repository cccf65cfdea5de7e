import { readFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { ask } from './wghub-ask.ts';
import { pause, spreadOf } from './wghub-figures.ts';

/** The client of a hub's API, a process of its own beside the hub. */
interface Order {
  readonly port: number;
  readonly token: string;
  /** Of each call, one after the other on one connection. */
  readonly samples: number;
  /** Then for so long a steady stream that waits for nobody; 0 for none. */
  readonly seconds: number;
}

type Kind = 'device' | 'removed' | 'peer' | 'page' | 'devices';

/** Milliseconds between two peers of the steady stream, each of which is removed again, with a page of the list beside it. */
const EVERY = 40;

const order = JSON.parse(readFileSync(0, 'utf8')) as Order;
const agent = new Agent({ keepAlive: true, maxSockets: 64 });

// biome-ignore lint/suspicious/noExplicitAny: answers have different shapes
async function call(method: string, path: string, body?: unknown): Promise<any> {
  const { status, text } = await ask(agent, order.port, method, path, body, order.token);
  if (status >= 300) throw new Error(`${method} ${path}: ${status} ${text.slice(0, 300)}`);
  return JSON.parse(text);
}

class Calls {
  readonly #samples = new Map<Kind, number[]>();
  #after: string | null = null;

  async timed<T>(kind: Kind, work: () => Promise<T>, from = performance.now()): Promise<T> {
    const result = await work();
    this.#samples.set(kind, [...(this.#samples.get(kind) ?? []), performance.now() - from]);
    return result;
  }

  async device(from?: number): Promise<void> {
    const wish = { user_id: 'bench', device_name: 'phone' };
    const made = await this.timed('device', () => call('POST', '/api/create-peer', wish), from);
    await this.timed('removed', () => call('POST', '/api/remove-peer', { public_key: made.public_key }));
  }

  async peer(): Promise<void> {
    const wish = { name: 'bench', presharedKey: true };
    const made = await this.timed('peer', () => call('POST', '/api/peers', wish));
    if (made.live !== true) throw new Error('the interface was not told');
    await this.timed('removed', () => call('DELETE', `/api/peers/${made.peer.id}`));
  }

  /** The next page, and after the last the first again. */
  async page(from?: number): Promise<void> {
    const after = this.#after === null ? '' : `&after=${encodeURIComponent(this.#after)}`;
    const { next } = await this.timed('page', () => call('GET', `/api/peers?limit=100${after}`), from);
    this.#after = next;
  }

  async devices(): Promise<void> {
    await this.timed('devices', () => call('GET', '/api/list-peers?limit=100'));
  }

  spreads(): unknown {
    return Object.fromEntries([...this.#samples].map(([kind, samples]) => [kind, spreadOf(samples)]));
  }
}

const warmUp = new Calls();
const calls = new Calls();
for (let count = -50; count < order.samples; count++) {
  const one = count < 0 ? warmUp : calls;
  await one.device();
  await one.peer();
  await one.page();
  await one.devices();
}

const stream = new Calls();
const under: Promise<void>[] = [];
const begun = performance.now();
for (let number = 0; number * EVERY < order.seconds * 1000; number++) {
  const due = begun + number * EVERY;
  const wait = due - performance.now();
  if (wait > 0) await pause(wait);
  under.push(stream.device(due), stream.page(due));
}
await Promise.all(under);
agent.destroy();
process.stdout.write(`${JSON.stringify({ calls: calls.spreads(), stream: stream.spreads() })}\n`);

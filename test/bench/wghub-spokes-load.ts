import { readFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { generateKeyPair } from '../../wireguard/keys.ts';
import { type Answer, ask } from './wghub-ask.ts';
import { spreadOf } from './wghub-figures.ts';

/** Spokes that join a hub, in a process of its own beside it. */
interface Order {
  readonly port: number;
  readonly token: string;
  readonly spokes: number;
  readonly atOnce: number;
}

const RACE = 100;
const order = JSON.parse(readFileSync(0, 'utf8')) as Order;
const agent = new Agent({ keepAlive: true, maxSockets: 200 });

const call = (method: string, path: string, body?: unknown, bearer?: string): Promise<Answer> =>
  ask(agent, order.port, method, path, body, bearer);

function assertStatus({ status, text }: Answer, wanted: number): void {
  if (status !== wanted) throw new Error(`${status} in place of ${wanted}: ${text.slice(0, 300)}`);
}

/** Does the work for each number, so many at once. What it took: each, and all. */
async function each(count: number, work: (index: number) => Promise<void>): Promise<[number[], number]> {
  const samples: number[] = [];
  let next = 0;
  const begun = performance.now();
  const one = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) {
      const from = performance.now();
      await work(index);
      samples.push(performance.now() - from);
    }
  };
  await Promise.all(Array.from({ length: order.atOnce }, one));
  return [samples, performance.now() - begun];
}

const keys = Array.from({ length: order.spokes + RACE + 1 }, () => generateKeyPair().publicKey);
const tokens: string[] = [];

async function makeToken(spokeName: string): Promise<string> {
  const made = await call('POST', '/api/installation/token', { spokeName, platform: 'linux' }, order.token);
  assertStatus(made, 201);
  return (JSON.parse(made.text) as { token: { token: string } }).token.token;
}
const fetchScript = (token: string) => call('GET', `/api/installation/script/${token}?platform=linux`);
const register = (token: string, index: number) => {
  return call('POST', '/api/spoke/register', { token, publicKey: keys[index], os: 'Debian GNU/Linux 12 (bookworm)' });
};

const made = await each(order.spokes, async (index) => {
  tokens[index] = await makeToken(`spoke ${index}`);
});
const fetched = await each(order.spokes, async (index) => assertStatus(await fetchScript(tokens[index] ?? ''), 200));
const registered = await each(order.spokes, async (index) =>
  assertStatus(await register(tokens[index] ?? '', index), 201),
);

const raced = await makeToken('race');
const race = async (work: (index: number) => Promise<Answer>, won: number): Promise<number> => {
  const answers = await Promise.all(Array.from({ length: RACE }, (_, index) => work(index)));
  return answers.filter(({ status }) => status === won).length;
};
const winners = {
  script: await race(() => fetchScript(raced), 200),
  register: await race((index) => register(raced, order.spokes + index), 201),
};
agent.destroy();
const steps = { token: spreadOf(made[0]), script: spreadOf(fetched[0]), register: spreadOf(registered[0]) };
const millis = { token: made[1], script: fetched[1], register: registered[1] };
process.stdout.write(`${JSON.stringify({ steps, millis, winners })}\n`);

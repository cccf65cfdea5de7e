import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, call, type HonestClient } from '../keyserver/honest-client.ts';
import { type Attack, control, Findings, type Outcome, skipped } from './attack.ts';
import { auditTail, type EnrolledServer, holdsKey, keyId, startEnrolledServer } from './enrolled-server.ts';

const guess43 = (): string => randomBytes(32).toString('base64url');
const names = ['unknown client', 'wrong token', 'wrong TOTP', 'unknown link'] as const;
type GuessName = (typeof names)[number];

/** One wrong thing in an otherwise right request. */
function guess(
  name: GuessName,
  host: HonestClient,
): { readonly headers: Record<string, string>; readonly body: unknown } {
  const headers = host.openHeaders();
  const body = host.openBody();
  if (name === 'unknown client')
    return { headers: { ...headers, 'X-Client': `lk-${randomBytes(12).toString('hex')}` }, body };
  if (name === 'wrong token') return { headers: { ...headers, 'X-Auth-Token': guess43() }, body };
  if (name === 'unknown link') return { headers, body: { ...body, link: guess43() } };
  const wrong = String((Number(headers['X-TOTP']) + 500_000) % 1_000_000).padStart(6, '0');
  return { headers: { ...headers, 'X-TOTP': wrong }, body };
}

/** All that the guesser sees but for the date. */
function seen(answer: Answer): string {
  const { date: _, ...headers } = answer.headers;
  return JSON.stringify([answer.status, headers, answer.text]);
}

/** Guesses from one address until it is shut out, waits as told, guesses once more, and so on; the waits, in seconds. */
async function waitsOf(ask: () => Promise<Answer>, lockouts: number, found: Findings): Promise<number[]> {
  const waits: number[] = [];
  for (let tries = 0; tries < 60 && waits.length < lockouts; tries++) {
    const answer = await ask();
    if (answer.status === 401) continue;
    found.expect(answer.status === 429, `a guess was answered ${answer.status}`);
    if (answer.status !== 429) break;
    const wait = Number(answer.headers['retry-after']);
    waits.push(wait);
    if (waits.length < lockouts) await sleep(wait * 1000 + 50);
  }
  return waits;
}

/** Medians of interleaved samples, each from an address of its own, so that no lock-out comes in between. Told, never judged. */
async function timings(made: EnrolledServer, rounds: number): Promise<string> {
  const took = new Map<GuessName, number[]>(names.map((name) => [name, []]));
  let address = 16;
  for (let round = 0; round < rounds; round++) {
    for (const name of names) {
      const line = { port: made.port, agent: made.agent(`127.1.${address >> 8}.${address++ & 255}`) };
      await call(line, 'GET', '/health', {});
      const { headers, body } = guess(name, made.host);
      const began = performance.now();
      await call(line, 'POST', '/v1/open', headers, body);
      took.get(name)?.push(performance.now() - began);
      line.agent.destroy();
    }
  }
  const median = (list: readonly number[]): number => [...list].sort((a, b) => a - b)[list.length >> 1] ?? 0;
  return names.map((name) => `${name} ${median(took.get(name) ?? []).toFixed(2)} ms`).join(', ');
}

async function play(made: EnrolledServer): Promise<Outcome> {
  const found = new Findings();
  const { host, key, port, server } = made;
  const from = (address: string) => ({ port, agent: made.agent(address) });
  const home = from('127.0.0.1');
  control(holdsKey(await host.exchange(home, [keyId]), key), 'the right credentials get no key');

  const shown = new Set<string>();
  for (const [index, name] of names.entries()) {
    const { headers, body } = guess(name, host);
    const answer = await call(from(`127.0.1.${index + 1}`), 'POST', '/v1/open', headers, body);
    found.expect(answer.status === 401, `${name} was answered ${answer.status}`);
    shown.add(seen(answer));
  }
  found.expect(shown.size === 1, `${shown.size} different answers to ${names.join(', ')}`);

  const lockouts = 3;
  const waits = await Promise.all([
    ...(['wrong token', 'wrong TOTP', 'unknown link'] as const).map((name, index) => {
      const line = from(`127.0.2.${index + 1}`);
      return waitsOf(
        () => {
          const { headers, body } = guess(name, host);
          return call(line, 'POST', '/v1/open', headers, body);
        },
        lockouts,
        found,
      );
    }),
    waitsOf(() => call(from('127.0.3.1'), 'POST', '/v1/enroll', {}, { code: guess43() }), lockouts, found),
  ]);
  for (const list of waits) {
    const grows = list.length === lockouts && list.every((wait, index) => index === 0 || wait > (list[index - 1] ?? 0));
    found.expect(grows, `the waits do not grow: ${list.join(', ')} s`);
  }
  const honest = await host.exchange(home, [keyId]);
  found.expect(holdsKey(honest, key), `the honest host is shut out with the guessers: ${honest.status}`);
  const recorded = (await auditTail(server)).filter((record) => record.source?.startsWith('127.0.2.'));
  found.expect(recorded.length > 0, 'the guesses are not on record');
  const times = await timings(made, 9);
  const growth = waits[0]?.join(', ') ?? '';
  return found.outcome(
    `same answer to ${names.length} kinds of wrong; shut out for ${growth} s and longer; median of ${times}`,
  );
}

export const guessingRow: Attack = {
  row: '7',
  attackerHas: 'patience: guessing tokens, codes, enrolment codes',
  stock: '-',
  latchkey: 'lock-out that grows, uniform answers and timing, on record',
  run: async (scene) => {
    if (process.platform !== 'linux') return skipped('needs many loopback addresses');
    return play(await startEnrolledServer(scene, { from: '127.0.0.0/8' }));
  },
};

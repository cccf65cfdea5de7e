import type { Agent } from 'node:https';
import { type Answer, call, type HonestClient } from '../keyserver/honest-client.ts';
import { type Attack, control, Findings } from './attack.ts';
import { auditTail, type EnrolledServer, holdsKey, keyId, startEnrolledServer } from './enrolled-server.ts';
import { LineTap, replayBytes, type Trick } from './line-tap.ts';

interface Line {
  readonly port: number;
  readonly agent: Agent;
}

const tricks: readonly Trick[] = [
  { do: 'drop-request' },
  { do: 'drop-answer' },
  { do: 'double' },
  { do: 'delay', ms: 120 },
  { do: 'pass' },
];

/** Asks anew when the line breaks under it: what the tap did to the call before may still be under way. */
async function insist(ask: () => Promise<Answer>): Promise<Answer> {
  for (let left = 3; left > 0; left--) {
    const answer = await ask().catch(() => null);
    if (answer !== null) return answer;
  }
  return ask();
}

/** One half of an exchange through the tap; `null` when no answer came. A first call has the TLS session stand before. */
async function tricked(line: Line, tap: LineTap, trick: Trick, ask: () => Promise<Answer>): Promise<Answer | null> {
  await insist(() => call(line, 'GET', '/health', {}));
  tap.next(trick);
  return ask().catch(() => null);
}

/** Every trick on open with every trick on release; the host does what the protocol says after a lost answer: starts again. */
async function haveEverythingGoWrong(
  host: HonestClient,
  line: Line,
  tap: LineTap,
  key: Buffer,
  found: Findings,
): Promise<number> {
  let played = 0;
  for (const atOpen of tricks) {
    for (const atRelease of tricks) {
      played += 1;
      const words = `${atOpen.do} at open, ${atRelease.do} at release`;
      const open = await tricked(line, tap, atOpen, () =>
        call(line, 'POST', '/v1/open', host.openHeaders(), host.openBody()),
      );
      if (open !== null) {
        found.expect(open.status === 200, `${words}: open answered ${open.status}`);
        if (open.status !== 200) continue;
        host.opened(String(open.body.next));
        const body = host.releaseBody(String(open.body.session), [keyId]);
        const release = await tricked(line, tap, atRelease, () =>
          call(line, 'POST', '/v1/release', host.headers(), body),
        );
        if (release !== null) {
          found.expect(holdsKey(release, key), `${words}: release answered ${release.status}`);
          host.released();
        }
      }
      const beat = await insist(() => call(line, 'POST', '/v1/heartbeat', host.headers(), host.heartbeatBody()));
      found.expect(beat.body.state === 'ok', `${words}: the honest host's heartbeat was answered ${beat.status}`);
    }
  }
  const at = await host.exchange(line, [keyId]);
  found.expect(holdsKey(at, key), `the honest host is answered ${at.status} in the end`);
  return played;
}

/** Exact requests once more, as somebody could who reads inside of TLS: twice, late, and in another order. */
async function sendAgain(made: EnrolledServer, line: Line, found: Findings): Promise<number> {
  const { host, key } = made;
  const sent: { readonly path: string; readonly headers: Record<string, string>; readonly body: unknown }[] = [];
  const send = (path: string, headers: Record<string, string>, body: unknown): Promise<Answer> => {
    sent.push({ path, headers, body });
    return call(line, 'POST', path, headers, body);
  };
  let replays = 0;
  const replay = async (index: number): Promise<void> => {
    const again = sent[index];
    if (again === undefined) return;
    replays += 1;
    const answer = await call(line, 'POST', again.path, again.headers, again.body);
    found.expect(answer.status === 409, `${again.path} sent again was answered ${answer.status}`);
    found.expect(!holdsKey(answer, key), `${again.path} sent again got the key`);
  };
  for (let round = 0; round < 2; round++) {
    const open = await send('/v1/open', host.openHeaders(), host.openBody());
    host.opened(String(open.body.next));
    await replay(sent.length - 1); // before the release
    const release = await send('/v1/release', host.headers(), host.releaseBody(String(open.body.session), [keyId]));
    control(holdsKey(release, key), `the recorded exchange itself was answered ${release.status}`);
    host.released();
    await send('/v1/heartbeat', host.headers(), host.heartbeatBody());
    for (let index = sent.length - 1; index >= 0; index--) await replay(index); // all, the other way round
  }
  return replays;
}

export const recordingRow: Attack = {
  row: '6',
  attackerHas: 'a recording of a real request, or the power to delay, drop and duplicate packets',
  stock: '-',
  latchkey: 'nothing: stale or spent link, and no false alarm',
  run: async (scene) => {
    const found = new Findings();
    const made = await startEnrolledServer(scene, { policy: ['--rate', '6000/h', '--burst', '600'] });
    const { host, key, server } = made;
    const tap = await LineTap.start(made.port);
    scene.row.add('tap', () => tap.stop());
    const line = { port: tap.port, agent: made.agent() };

    const real = await host.exchange(line, [keyId]);
    control(holdsKey(real, key), `the exchange to record was answered ${real.status}`);
    const recording = tap.recordings[0] ?? [];
    control(Buffer.concat(recording).length > 500, 'nothing was recorded');
    const inClear = [host.credentials.token, host.credentials.clientId, keyId, 'X-TOTP'];
    const passed = Buffer.concat([...recording, ...tap.answers]);
    found.expect(!inClear.some((text) => passed.includes(text)), 'a credential went over the line in clear');
    const reply = await replayBytes(made.port, recording);
    found.expect(!reply.includes('HTTP/1.1 200'), 'recorded bytes were answered');

    const played = await haveEverythingGoWrong(host, line, tap, key, found);
    const replays = await sendAgain(made, { port: made.port, agent: made.agent() }, found);

    const records = await auditTail(server, 1000);
    const forks = records.filter((record) => record.event.includes('fork') || record.event === 'client_locked');
    found.expect(forks.length === 0, `the honest host was taken for a copy ${forks.length} times`);
    const spent = host.copy();
    const last = await host.exchange(line, [keyId]);
    found.expect(holdsKey(last, key), `the host itself is answered ${last.status} afterwards`);
    // the alarm is not merely off: a request that was never sent, with a link that is spent, is a fork
    const thief = await call(line, 'POST', '/v1/open', spent.openHeaders(), { ...spent.openBody(), time: host.tick() });
    control(thief.status === 423 && thief.body.reason === 'fork', `a spent link was answered ${thief.status}`);
    return found.outcome(
      `recorded TLS bytes get nothing; ${replays} requests sent again all stale; ${played} exchanges with requests or ` +
        'answers dropped, doubled, delayed: the host gets its key and is never taken for a copy',
    );
  },
};

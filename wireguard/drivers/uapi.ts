import { connect, type Socket } from 'node:net';
import { LatchkeyError } from '../../platform/errors.ts';
import { inTurns } from '../../platform/in-turns.ts';
import type { Driver } from './driver.ts';
import { answerSteps, changeSteps, errnoOf, GET, replaceSteps } from './uapi-text.ts';

/** Longer than the answer of an interface with as many peers as wireguard-go takes (65,536). */
const MAX_BYTES = 64 * 1024 * 1024;

/** An interface of ten thousand peers is told of them in megabytes, and a slow machine takes its time: a second more for so many bytes. */
const BYTES_A_SECOND = 100_000;

export interface UapiOptions {
  /** Such as `/var/run/wireguard/wg0.sock`. */
  readonly socket: string;
  /** Deadline of a short request, default 10 s. */
  readonly timeoutMs?: number;
}

/** The control socket of an interface in user space: wireguard-go, boringtun, amneziawg-go. */
export function uapiDriver({ socket, timeoutMs = 10_000 }: UapiOptions): Driver {
  const lines = new Set<Socket>();
  let isAbandoned = false;
  const ask = async (request: string): Promise<string> => {
    if (isAbandoned) throw interfaceDown('the request to the interface was given up');
    const answer = await exchange(socket, request, timeoutMs, lines);
    const errno = errnoOf(answer);
    if (errno === 0) return answer;
    throw new LatchkeyError('driver_failed', `the interface refused the change (errno ${errno})`, { extra: { errno } });
  };
  return {
    name: 'uapi',
    read: async () => inTurns(answerSteps(await ask(GET))),
    apply: async (change) => {
      if (change.set.length + change.remove.length > 0) await ask(await inTurns(changeSteps(change)));
    },
    replace: async (device, peers) => {
      await ask(await inTurns(replaceSteps(device, peers)));
    },
    abandon: () => {
      isAbandoned = true;
      for (const line of lines) line.destroy();
    },
  };
}

/** One request on a connection of its own, which is in `lines` meanwhile; the answer is all up to the empty line. */
function exchange(path: string, request: string, timeoutMs: number, lines: Set<Socket>): Promise<string> {
  return new Promise((resolve, reject) => {
    let isOver = false;
    const down = (words: string, cause?: unknown): void => {
      if (isOver) return;
      isOver = true;
      line.destroy();
      reject(interfaceDown(words, cause));
    };
    const chunks: Buffer[] = [];
    let bytes = 0;
    const line = connect(path);
    lines.add(line);
    const deadline = timeoutMs + (request.length / BYTES_A_SECOND) * 1000;
    const timer = setTimeout(() => down('the control socket of the interface did not answer in time'), deadline);
    line.on('connect', () => line.write(request));
    line.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > MAX_BYTES) return down('the control socket of the interface does not stop talking');
      if (!endsAnswer(chunks)) return;
      clearTimeout(timer);
      isOver = true;
      line.destroy();
      resolve(Buffer.concat(chunks).toString('latin1'));
    });
    line.on('error', (cause) => {
      clearTimeout(timer);
      down('the control socket of the interface is not there', cause);
    });
    line.on('close', () => {
      lines.delete(line);
      clearTimeout(timer);
      down('the control socket of the interface was closed');
    });
  });
}

function interfaceDown(words: string, cause?: unknown): LatchkeyError {
  const hint = 'wghub doctor tells what is wrong with it';
  return new LatchkeyError('interface_down', words, { status: 503, cause, hint });
}

const LINE_END = 0x0a;

/** `errno=0` and an empty line may come in two pieces. */
function endsAnswer(chunks: readonly Buffer[]): boolean {
  if (chunks.at(-1)?.at(-1) !== LINE_END) return false;
  const tail = Buffer.concat(chunks.slice(-3)).subarray(-20).toString('latin1');
  return /errno=-?\d{1,5}\n\n$/.test(tail);
}

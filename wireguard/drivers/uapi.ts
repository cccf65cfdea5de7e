import { connect, type Socket } from 'node:net';
import { LatchkeyError } from '../../platform/errors.ts';
import type { Driver } from './driver.ts';
import { changeRequest, errnoOf, GET, parseAnswer, replaceRequest } from './uapi-text.ts';

/** Longer than the answer of an interface with as many peers as wireguard-go takes (65,536). */
const MAX_BYTES = 64 * 1024 * 1024;

export interface UapiOptions {
  /** Such as `/var/run/wireguard/wg0.sock`. */
  readonly socket: string;
  /** Deadline of one request, default 10 s. */
  readonly timeoutMs?: number;
}

/** The control socket of an interface in user space: wireguard-go, boringtun, amneziawg-go. */
export function uapiDriver({ socket, timeoutMs = 10_000 }: UapiOptions): Driver {
  const lines = new Set<Socket>();
  const ask = async (request: string): Promise<string> => {
    const answer = await exchange(socket, request, timeoutMs, lines);
    const errno = errnoOf(answer);
    if (errno === 0) return answer;
    throw new LatchkeyError('driver_failed', `the interface refused the change (errno ${errno})`, { extra: { errno } });
  };
  return {
    name: 'uapi',
    read: async () => parseAnswer(await ask(GET)),
    apply: async (change) => {
      if (change.set.length + change.remove.length > 0) await ask(changeRequest(change));
    },
    replace: async (device, peers) => {
      await ask(replaceRequest(device, peers));
    },
    abandon: () => {
      for (const line of lines) line.destroy();
    },
  };
}

/** One request on a connection of its own, which is in `lines` meanwhile; the answer is all up to the empty line. */
function exchange(path: string, request: string, timeoutMs: number, lines: Set<Socket>): Promise<string> {
  return new Promise((resolve, reject) => {
    const down = (words: string, cause?: unknown): void => {
      line.destroy();
      reject(
        new LatchkeyError('interface_down', words, {
          status: 503,
          cause,
          hint: 'wghub doctor tells what is wrong with it',
        }),
      );
    };
    const chunks: Buffer[] = [];
    let bytes = 0;
    const line = connect(path);
    lines.add(line);
    const timer = setTimeout(() => down('the control socket of the interface did not answer in time'), timeoutMs);
    line.on('connect', () => line.write(request));
    line.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > MAX_BYTES) return down('the control socket of the interface does not stop talking');
      if (!endsAnswer(chunks)) return;
      clearTimeout(timer);
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

/** `errno=0` and an empty line may come in two pieces. */
function endsAnswer(chunks: readonly Buffer[]): boolean {
  const tail = Buffer.concat(chunks.slice(-3)).subarray(-20).toString('latin1');
  return /errno=-?\d{1,5}\n\n$/.test(tail);
}

import { Agent, type RequestOptions, request } from 'node:https';
import { LatchkeyError } from '../../platform/errors.ts';

/** What the server said, whatever it was. */
export interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

const longestAnswer = 2 * 1024 * 1024;
const deadline = 5_000;

/** One connection to a key server, its certificate checked against `ca` and nothing else. */
export class Line {
  readonly #url: string;
  readonly #agent: Agent;

  constructor(url: string, ca: string) {
    this.#url = url;
    this.#agent = new Agent({ ca, keepAlive: true, maxSockets: 1, minVersion: 'TLSv1.3' });
  }

  /** Sends one call and answers with what came back; throws `unreachable` when nothing did within 5 s. */
  call(
    method: 'GET' | 'POST' | 'PUT',
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const text = body === undefined ? '' : JSON.stringify(body);
    const typed =
      body === undefined
        ? {}
        : { 'Content-Type': 'application/json', 'Content-Length': String(Buffer.byteLength(text)) };
    const options: RequestOptions = { method, agent: this.#agent, headers: { ...headers, ...typed } };
    return new Promise((resolve, reject) => {
      const fail = (cause?: unknown): void => {
        clearTimeout(timer);
        reject(new LatchkeyError('unreachable', `${this.#url} did not answer`, { cause }));
      };
      const call = request(new URL(path, this.#url), options, (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > longestAnswer) call.destroy();
          else chunks.push(chunk);
        });
        response.on('error', fail);
        response.on('end', () => {
          clearTimeout(timer);
          resolve({ status: response.statusCode ?? 0, body: bodyFrom(Buffer.concat(chunks)) });
        });
      });
      const timer = setTimeout(() => call.destroy(), deadline);
      call.on('error', fail);
      call.end(text);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

function bodyFrom(bytes: Buffer): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(bytes.toString('utf8')) as Record<string, unknown>;
  } catch {
    return {};
  }
}

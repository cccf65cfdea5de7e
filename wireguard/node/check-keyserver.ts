import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { isCertificateFault } from '../../platform/certificates/certificate-fault.ts';
import { LatchkeyError } from '../../platform/errors.ts';

const LIMIT_MS = 5_000;
/** An answer is one word in braces. */
const ANSWER_BYTES = 4_096;
const WORDS = ['ok', 'sealed', 'killed', 'degraded'];

/** `https://HOST[:PORT]` of a key server. Throws `usage`. */
export function parseKeyserver(text: string): string {
  const url = URL.canParse(text) && text.length <= 300 ? new URL(text) : null;
  const isPlain = url?.protocol === 'https:' && url.pathname === '/' && url.search + url.hash + url.username === '';
  if (url !== null && isPlain && url.password === '') return url.origin;
  throw new LatchkeyError('usage', '"--keyserver" must be https://HOST:PORT, without a path', {
    exit: 2,
    field: '--keyserver',
    hint: 'its address in the tunnel, such as https://10.8.0.1:8443',
  });
}

/**
 * Asks a key server how it is, `GET /health`. `null` when it is well; else what is wrong, in our words. Its certificate has to be of
 * `ca` (PEM), and without one of the system's authorities. A redirect is no answer.
 */
export function askKeyserver(origin: string, ca: string | null, limitMs = LIMIT_MS): Promise<string | null> {
  const signal = AbortSignal.timeout(limitMs);
  return new Promise((resolve) => {
    const failed = (cause: unknown): void => {
      const code = (cause as NodeJS.ErrnoException).code ?? 'no code';
      if (signal.aborted) resolve(`does not answer within ${limitMs / 1000} s`);
      else
        resolve(
          isCertificateFault(code) ? `shows a certificate that is not trusted (${code})` : `does not answer (${code})`,
        );
    };
    const answered = (answer: IncomingMessage): void => {
      const kept: Buffer[] = [];
      let size = 0;
      answer.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size <= ANSWER_BYTES) kept.push(chunk);
        else answer.destroy(Object.assign(new Error('too long'), { code: 'too long' }));
      });
      answer.on('error', failed);
      answer.on('end', () => resolve(faultOf(answer.statusCode ?? 0, Buffer.concat(kept).toString('utf8'))));
    };
    const options = { agent: false, signal, minVersion: 'TLSv1.2', ...(ca !== null && { ca }) } as const;
    const call = request(`${origin}/health`, options, answered);
    call.on('error', failed);
    call.end();
  });
}

/** Pure. A stranger's words are not repeated. */
export function faultOf(status: number, body: string): string | null {
  const word = wordOf(body);
  if (status === 200 && word === 'ok') return null;
  if (status === 200) return 'answers what no key server would';
  return `answers ${status}${word === null ? '' : ` (${word})`}`;
}

function wordOf(body: string): string | null {
  try {
    const word = (JSON.parse(body) as { status?: unknown } | null)?.status;
    return typeof word === 'string' && WORDS.includes(word) ? word : null;
  } catch {
    return null;
  }
}

import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isCertificateFault } from '../certificates/certificate-fault.ts';
import { LatchkeyError } from '../errors.ts';

/** A request that carries a notice. The URL may be a secret: it is in no error. */
export interface NoticeRequest {
  readonly method: 'POST' | 'PUT';
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/** From the first packet to the end of the answer, ms. */
const wholeLimit = 15_000;
/** Read of an answer at the most; nothing in it is used. */
const answerLimit = 65_536;

/**
 * Sends JSON and takes any 2xx for success. TLS is verified against the system's authorities, or against `ca` (PEM)
 * alone. A redirect is an error: it would carry the message to a place nobody chose. Throws `alert_not_sent`.
 */
export function sendRequest(request: NoticeRequest, ca: string | null, signal: AbortSignal): Promise<void> {
  const url = new URL(request.url);
  const body = Buffer.from(JSON.stringify(request.body));
  const limit = AbortSignal.any([signal, AbortSignal.timeout(wholeLimit)]);
  const options = {
    method: request.method,
    headers: {
      'Content-Type': 'application/json',
      'Content-Length': body.length,
      'User-Agent': 'latchkey',
      ...request.headers,
    },
    agent: false,
    signal: limit,
  } as const;
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown): void => reject(limit.aborted ? timedOut() : unreachable(cause));
    const answered = (answer: IncomingMessage): void => {
      let size = 0;
      answer.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > answerLimit) answer.destroy(new Error('too long'));
      });
      answer.on('error', fail);
      answer.on('end', () => {
        const refusal = refusalOf(answer.statusCode ?? 0, answer.headers['retry-after']);
        if (refusal === null) resolve();
        else reject(refusal);
      });
    };
    const call =
      url.protocol === 'https:'
        ? httpsRequest(url, { ...options, minVersion: 'TLSv1.2', ...(ca !== null && { ca }) }, answered)
        : httpRequest(url, options, answered);
    call.on('error', fail);
    call.end(body);
  });
}

const hints: Readonly<Record<number, string>> = {
  400: 'the receiver does not understand this kind of message: is it the kind of channel you meant?',
  401: 'is the token right?',
  403: 'is the token right, and may it write there?',
  404: 'is the URL right, and does the webhook still exist?',
  405: 'is the URL right? it takes no messages',
  410: 'the webhook was deleted: make a new one',
};

function refusalOf(status: number, retryAfter: string | undefined): LatchkeyError | null {
  if (status >= 200 && status < 300) return null;
  if (status >= 300 && status < 400) {
    return notSent(`the receiver redirects (${status}), which is not followed`, 'give the URL it redirects to');
  }
  const seconds = status === 429 && /^[0-9]{1,6}$/.test(retryAfter ?? '') ? Number(retryAfter) : undefined;
  return notSent(`the receiver answered ${status}`, hints[status], seconds);
}

function timedOut(): LatchkeyError {
  return notSent(`the receiver did not answer within ${wholeLimit / 1000} s`, 'can this machine reach it?');
}

/** What a failed connection is in our words; only its code is taken over. */
function unreachable(cause: unknown): LatchkeyError {
  const code = (cause as NodeJS.ErrnoException | null)?.code ?? 'unknown';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return notSent(`the receiver's name could not be looked up (${code})`, 'has this machine internet and DNS?');
  }
  if (code === 'ECONNREFUSED') return notSent('the receiver refused the connection', 'does it run, at that port?');
  if (isCertificateFault(code)) {
    return notSent(`the receiver's certificate is not trusted (${code})`, 'give its authority with --ca FILE');
  }
  return notSent(`the connection to the receiver failed (${code})`, 'can this machine reach it?');
}

function notSent(message: string, hint?: string, retryAfter?: number): LatchkeyError {
  return new LatchkeyError('alert_not_sent', message, {
    ...(hint !== undefined && { hint }),
    ...(retryAfter !== undefined && { retryAfter }),
  });
}

import type { IncomingMessage } from 'node:http';
import { LatchkeyError } from './errors.ts';
import { parseForm } from './form-body.ts';

/** Two headers of one name may be read differently by two readers (RFC 9110, section 5.3); nothing here needs them. */
export function refuseRepeatedHeaders(request: IncomingMessage): void {
  const raw = request.rawHeaders;
  const seen = new Set<string>();
  for (let index = 0; index < raw.length; index += 2) {
    const name = (raw[index] ?? '').toLowerCase();
    if (seen.has(name)) throw malformed('headers', 'must not repeat a name');
    seen.add(name);
  }
}

const jsonType = /^application\/json(; ?charset=utf-8)?$/i;
const formType = /^application\/x-www-form-urlencoded(; ?charset=utf-8)?$/i;

const noQuery: Readonly<Record<string, string>> = {};

/** The parameters of a request's query, of which `known` may come, each once. */
export function readQuery(target: string, known: readonly string[]): Readonly<Record<string, string>> {
  const start = target.indexOf('?');
  if (start === -1) return noQuery;
  if (known.length === 0) throw malformed('query', 'must be empty');
  const query: Record<string, string> = {};
  for (const [name, value] of new URLSearchParams(target.slice(start + 1))) {
    if (!known.includes(name)) throw malformed('query', `may only have ${known.join(', ')}`);
    if (query[name] !== undefined) throw malformed(name, 'must not come twice');
    query[name] = value;
  }
  return query;
}

/** How a route takes its body: `Route`. */
export interface BodyRules {
  readonly bodyLimit: number;
  readonly bodyType?: 'json' | 'form';
}

export interface Body {
  readonly body: unknown;
  readonly bytes: Uint8Array;
}

const noBody: Body = { body: undefined, bytes: new Uint8Array(0) };

/** Throws `invalid_request` (400), `body_too_large` (413) and `unsupported_media_type` (415). */
export async function readBody(request: IncomingMessage, route: BodyRules): Promise<Body> {
  const announced = request.headers['content-length'];
  const hasBody = request.headers['transfer-encoding'] !== undefined || (announced !== undefined && announced !== '0');
  if (route.bodyLimit === 0) {
    if (hasBody) throw malformed('body', 'must be empty');
    return noBody;
  }
  if (announced !== undefined && Number(announced) > route.bodyLimit) throw tooLarge(route.bodyLimit);
  const type = request.headers['content-type'] ?? '';
  const isForm = route.bodyType === 'form';
  if (!(isForm ? formType : jsonType).test(type)) {
    const wanted = isForm ? 'application/x-www-form-urlencoded' : 'application/json';
    throw new LatchkeyError('unsupported_media_type', `the body must be ${wanted}`, { status: 415 });
  }
  if (request.headers['content-encoding'] !== undefined) {
    throw new LatchkeyError('unsupported_media_type', 'the body must not be compressed', { status: 415 });
  }
  const bytes = await collect(request, route.bodyLimit);
  const text = decodeUtf8(bytes);
  if (isForm) return { body: parseForm(text), bytes };
  try {
    return { body: JSON.parse(text), bytes };
  } catch {
    throw malformed('body', 'must be JSON'); // the parser's own words quote the input
  }
}

function collect(request: IncomingMessage, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > limit) reject(tooLarge(limit));
      else chunks.push(chunk);
    });
    request.on('end', () =>
      resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks)),
    );
    request.on('error', () => reject(malformed('body', 'did not arrive whole')));
    request.on('close', () => {
      if (!request.complete) reject(malformed('body', 'did not arrive whole'));
    });
  });
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function decodeUtf8(bytes: Buffer): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw malformed('body', 'must be UTF-8');
  }
}

/** `invalid_request` (400) about a part of a request. */
export function malformed(field: string, words: string): LatchkeyError {
  return new LatchkeyError('invalid_request', `"${field}" ${words}`, { status: 400, field });
}

function tooLarge(limit: number): LatchkeyError {
  return new LatchkeyError('body_too_large', `the body must be at most ${limit} bytes`, { status: 413, field: 'body' });
}

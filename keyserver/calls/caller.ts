import { sha256 } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { parseInput } from '../../platform/schema.ts';
import type { ShownCertificate } from '../certificates/shown.ts';
import { clientId } from '../clients/client.ts';
import { refusalError } from '../refusal.ts';
import { tokenText, totpText } from '../wire.ts';

/** Who says to be asking, before anything of it was checked. */
export interface Caller {
  readonly client: string;
  readonly tokenHash: Buffer;
  readonly totp: string | null;
  readonly source: string;
  /** What its connection showed. */
  readonly certificate: ShownCertificate | null;
}

/** One header's value: node gives several values of a name as one, joined, which no schema here lets pass. */
export type HeaderValue = string | readonly string[] | undefined;

/**
 * Reads the credentials. A header that is there and cannot be one is a 400 that names it; one that is missing is the
 * same 401 as a wrong one.
 */
export function readCaller(
  headers: Readonly<Record<string, HeaderValue>>,
  source: string,
  now: number,
  certificate: ShownCertificate | null = null,
): Caller {
  const client = headers['x-client'];
  const token = headers['x-auth-token'];
  const totp = headers['x-totp'];
  if (client === undefined || token === undefined) throw refusalError({ verdict: 'deny', code: 'unauthorized' }, now);
  return {
    client: header('X-Client', clientId, client),
    tokenHash: sha256(header('X-Auth-Token', tokenText, token)),
    totp: totp === undefined ? null : header('X-TOTP', totpText, totp),
    source,
    certificate,
  };
}

function header<T>(name: string, schema: Parameters<typeof parseInput<T>>[0], value: HeaderValue): T {
  try {
    return parseInput(schema, value);
  } catch (cause) {
    const words = cause instanceof LatchkeyError ? cause.message.replace('"body" ', '') : 'is not valid';
    throw new LatchkeyError('invalid_request', `"${name}" ${words}`, { status: 400, field: name });
  }
}

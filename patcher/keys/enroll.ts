import { X509Certificate } from 'node:crypto';
import { decodeBase64Url } from '../../platform/encoding.ts';
import { isLatchkeyError, LatchkeyError } from '../../platform/errors.ts';
import type { Occ } from '../actions/action.ts';
import type { Facts } from '../facts.ts';
import type { Progress } from '../progress.ts';
import { remoteKey } from './remote-key.ts';

export interface EnrollOrder {
  readonly urls: readonly string[];
  /** One-time enrolment code of the key server, 43 characters. */
  readonly code: string;
  /** PEM of the key server's own certificate authority. */
  readonly ca: string;
  readonly replace: boolean;
}

export interface EnrollReport {
  readonly clientId: string;
  readonly keys: readonly string[];
  readonly caFingerprint: string;
}

/** `SHA256:AB:CD:…` of the first certificate in a PEM file. Throws `invalid_ca` (exit 2). */
export function caFingerprint(pem: string): string {
  try {
    const certificate = new X509Certificate(pem);
    if (!certificate.ca)
      throw new LatchkeyError('invalid_ca', '"--ca" is not the certificate of an authority', { exit: 2 });
    return `SHA256:${certificate.fingerprint256}`;
  } catch (cause) {
    if (cause instanceof LatchkeyError) throw cause;
    throw new LatchkeyError('invalid_ca', '"--ca" must be a certificate in PEM', { exit: 2, field: 'ca', cause });
  }
}

/** Refuses early what the server would refuse late, before the one-time code is spent. */
export function checkEnrolOrder(order: EnrollOrder): void {
  if (decodeBase64Url(order.code, 32) === null) {
    throw new LatchkeyError(
      'invalid_code',
      'the enrolment code must be the 43 characters that "keyserver client add" printed',
      {
        exit: 2,
        field: 'code',
      },
    );
  }
  for (const url of order.urls) checkServerUrl(url);
}

/** Returns it as it came. Throws `invalid_url` (exit 2). */
export function checkServerUrl(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  const plain = parsed !== null && parsed.pathname === '/' && parsed.search === '' && parsed.hash === '';
  if (parsed?.protocol !== 'https:' || !plain || parsed.username !== '' || parsed.password !== '') {
    throw new LatchkeyError('invalid_url', '"--url" must be the https address of the key server, without a path', {
      exit: 2,
      field: 'url',
    });
  }
  return url;
}

/** Spends the code on the server, which keeps the credentials for itself; none of them comes back here. */
export async function enroll(
  facts: Facts,
  order: EnrollOrder,
  deps: { readonly occ: Occ; readonly progress: Progress },
): Promise<EnrollReport> {
  if (!facts.app.enabled || facts.app.files === null || !facts.stateFolder.exists) {
    throw new LatchkeyError('app_not_loaded', 'the app is not installed or switched off', {
      exit: 3,
      hint: 'run: ncpatch apply',
    });
  }
  checkEnrolOrder(order);
  const fingerprint = caFingerprint(order.ca);
  deps.progress.step(`enrol at ${order.urls.join(', ')}`);
  deps.progress.note(`certificate authority ${fingerprint}`);
  const { clientId, keys } = await remoteKey(deps.occ)
    .enroll(facts.stateFolder.path, order)
    .catch((error) => {
      throw isLatchkeyError(error, 'unreachable') ? unreachable(error, facts, order) : error;
    });
  return { clientId, keys, caFingerprint: fingerprint };
}

/** Where the machine's own way ends well, a container with a network of its own may have none. */
function unreachable(error: LatchkeyError, { container }: Facts, { urls }: EnrollOrder): LatchkeyError {
  if (container === undefined || container === null) return error;
  const { engine, name } = container;
  return new LatchkeyError(error.code, `${error.message}, asked from inside of the container ${name}`, {
    exit: error.exit,
    hint: `what it sends must leave the machine by the machine's own address, as through ${engine}'s bridge: macvlan, ipvlan and a bridge without masquerading do not; try it there: ${engine} exec ${name} curl -k ${urls[0]}`,
    cause: error,
  });
}

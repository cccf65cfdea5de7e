import { constantTimeEqual } from '../../platform/encoding.ts';
import type { ShownCertificate } from '../certificates/shown.ts';
import type { Client } from '../clients/client.ts';
import { type CertificateOnFile, deny, type Gate, type GateRequest, type GateState, pass } from '../gate.ts';

/** The reason for a certificate that is right but for its end: who shows it is who it says. */
export const expired = 'certificate expired';

/** The reason for a certificate of the client's own that was ended, by a person or by the first use of the next one. */
export const ended = 'certificate revoked';

/**
 * The client's certificate: signed by an authority of ours, on file bit for bit, issued to this client as a client's, not
 * ended, and within its time by this server's clock. Who was issued one has to show it from then on; whoever shows one
 * shows the right one. A new certificate is issued to the holder of a good one only, whatever the client's policy says.
 *
 * All that is wrong with one is the same 401, and the audit log is told which. That it only ran out is told to somebody
 * whose token and code were right.
 */
export const certificate: Gate = {
  name: 'certificate',
  uniform: true,
  judge: (request, state) => {
    const { client } = state;
    if (client === null) return deny('unauthorized', 'unknown client');
    if (client.certificate.policy === 'off' && request.kind !== 'certificate') return pass;
    const shown = request.certificate;
    if (shown === null) return isDemanded(request, client) ? deny('unauthorized', 'no certificate') : pass;
    const fault = faultOf(shown, state, request, client);
    if (fault !== null) return deny('unauthorized', fault);
    if (request.now < shown.notBefore) return deny('unauthorized', 'certificate not yet valid');
    if (request.now <= shown.notAfter) return pass;
    return deny(asksForCode(request) ? 'certificate_expired' : 'unauthorized', expired);
  },
};

function isDemanded(request: GateRequest, client: Client): boolean {
  const { policy, since } = client.certificate;
  return request.kind === 'certificate' || policy === 'required' || since !== null;
}

/** What is wrong with it besides its time; a few fixed words for the audit log. */
function faultOf(shown: ShownCertificate, state: GateState, request: GateRequest, client: Client): string | null {
  const file = state.certificate;
  if (shown.authority === null) return 'certificate of another authority';
  if (file === null || !constantTimeEqual(file.digest, shown.digest)) return 'unknown certificate';
  if (file.purpose !== 'client' || !shown.forClients) return 'certificate for another purpose';
  if (file.client !== client.id || shown.subject !== `CN=${client.id}`) return "another client's certificate";
  return isEnded(file, request, client) ? ended : null;
}

/** A revoked client's certificates ended with it; its heartbeats are heard all the same, to be told `purge`. */
function isEnded(file: CertificateOnFile, request: GateRequest, client: Client): boolean {
  return file.revokedAt !== null && !(request.kind === 'heartbeat' && client.state === 'revoked');
}

/** The gate before this one has checked a TOTP code of the client, if it has a secret. */
function asksForCode({ kind }: GateRequest): boolean {
  return kind === 'open' || kind === 'key' || kind === 'certificate';
}

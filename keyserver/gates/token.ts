import { constantTimeEqual } from '../../platform/encoding.ts';
import { deny, type Gate, pass } from '../gate.ts';

/** Compared when there is no client or no token; no 32 bytes are known to hash to it. */
const noHash = Buffer.alloc(32);

/** The token's digest against the stored one, the one it changes to and the one before (a fork shows behind that), in constant time, for an unknown client as well. */
export const token: Gate = {
  name: 'token',
  uniform: true,
  judge: (request, state) => {
    const stored = state.client?.tokenHash ?? null;
    const equal = constantTimeEqual(request.tokenHash, stored ?? noHash);
    const next = state.client?.rotation?.tokenHash ?? null;
    const equalNext = constantTimeEqual(request.tokenHash, next ?? noHash);
    const former = state.client?.former?.tokenHash ?? null;
    const equalFormer = constantTimeEqual(request.tokenHash, former ?? noHash);
    if (state.client === null) return deny('unauthorized', 'unknown client');
    const known = (equal && stored !== null) || (equalNext && next !== null) || (equalFormer && former !== null);
    return known ? pass : deny('unauthorized', 'wrong token');
  },
};

import { constantTimeEqual } from '../../platform/encoding.ts';
import { deny, type Gate, pass } from '../gate.ts';

/** Compared when there is no client or no token; no 32 bytes are known to hash to it. */
const noHash = Buffer.alloc(32);

/** The token's digest against the stored one, in constant time, for an unknown client as well. */
export const token: Gate = {
  name: 'token',
  uniform: true,
  judge: (request, state) => {
    const stored = state.client?.tokenHash ?? null;
    const equal = constantTimeEqual(request.tokenHash, stored ?? noHash);
    if (state.client === null) return deny('unauthorized', 'unknown client');
    return equal && stored !== null ? pass : deny('unauthorized', 'wrong token');
  },
};

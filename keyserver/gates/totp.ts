import { findTotpStep } from '../../platform/totp.ts';
import { deny, type Gate, pass } from '../gate.ts';

/**
 * The code of a client that has a secret, asked on `open`, `GET /key` and for a new certificate. The basic profile takes each code once, the
 * next one must be of a later step; in the chained profile the link is what serves once.
 */
export const totp: Gate = {
  name: 'totp',
  uniform: true,
  judge: (request, state) => {
    if (request.kind !== 'open' && request.kind !== 'key' && request.kind !== 'certificate') return pass;
    if (state.totp.codes === null) return pass;
    const after = request.kind === 'key' ? state.totp.lastStep : -1;
    const step = findTotpStep(state.totp.codes, request.totp ?? '', after);
    if (step !== null) return pass;
    // a code of another time is no sign of a thief where the message itself says that the clocks differ
    if (request.totp !== null && state.chain.apart) return deny('stale_message', 'skewed');
    return deny('unauthorized', request.totp === null ? 'no totp code' : 'wrong or used totp code');
  },
};

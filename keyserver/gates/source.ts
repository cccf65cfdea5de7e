import { isWithin } from '../../platform/listening/network.ts';
import { deny, type Gate, pass } from '../gate.ts';

/** The peer must be in one of the client's networks. Nobody's networks are known for an unknown client: token refuses it. */
export const source: Gate = {
  name: 'source',
  uniform: false,
  judge: (request, state) => {
    if (state.client === null || isWithin(request.source, state.client.networks)) return pass;
    return deny('source_refused', 'not in the networks of this client');
  },
};

import { deny, type Gate, pass } from '../gate.ts';

/**
 * The kill switches: the file KILL and the global switch close the whole server, a client's own switch that client.
 * Heartbeats pass, because a client that is cut off has to be told to empty its caches.
 */
export const kill: Gate = {
  name: 'kill',
  uniform: false,
  judge: (request, state) => {
    if (request.kind === 'heartbeat') return pass;
    if (state.killed) return deny('killed');
    return state.client?.killed === true ? deny('locked', 'killed') : pass;
  },
};

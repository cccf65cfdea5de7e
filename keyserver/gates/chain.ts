import { decideHeartbeat, decideOpen, decideRelease } from '../chain.ts';
import { deny, type Gate, type GateRequest, type GateState, pass, type Verdict } from '../gate.ts';

/**
 * Where the caller stands in its chain. A spent link is a copy at work: the reason `fork` tells the caller of this gate
 * to lock the client. A client that is locked or revoked already gets no further; its heartbeats do, to be told so.
 */
export const chain: Gate = {
  name: 'chain',
  uniform: true,
  judge: (request, state) => {
    const closed = closedState(state);
    if (state.former === true && !isForked(request, state)) return deny('unauthorized', 'former secrets');
    if (request.kind === 'key' || request.kind === 'store' || request.kind === 'certificate') {
      if (closed !== null) return closed;
      if (request.kind === 'key' && state.client?.basic !== true) return deny('basic_disabled');
      return pass;
    }
    const decision = decide(request, state);
    if (closed !== null && request.kind !== 'heartbeat') return closed;
    if (decision === 'stale') {
      return deny('stale_message', state.chain.fresh === 'fresh' ? 'session' : state.chain.fresh);
    }
    if (decision === 'unknown') return deny('unauthorized', 'unknown link');
    return decision === 'fork' ? deny('locked', 'fork') : pass;
  },
};

/** Who comes with secrets that are over gets no further than this: nothing, or found out. */
function isForked(request: GateRequest, state: GateState): boolean {
  if (request.kind === 'key' || request.kind === 'store' || request.kind === 'certificate') return false;
  return decide(request, state) === 'fork';
}

function closedState(state: GateState): Verdict | null {
  if (state.client?.state === 'locked') return deny('locked', 'fork');
  return state.client?.state === 'revoked' ? deny('locked', 'revoked') : null;
}

function decide(request: GateRequest, state: GateState): string {
  const { standing, fresh, sessionHolds, proven } = state.chain;
  if (request.kind === 'open') return decideOpen(standing, fresh);
  if (request.kind === 'release') return decideRelease(standing, fresh, sessionHolds);
  return decideHeartbeat(standing, fresh, proven);
}

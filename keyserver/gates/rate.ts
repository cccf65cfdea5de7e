import { type Gate, pass } from '../gate.ts';

/** Too many requests, or too many failures; what was counted is in `../rate.ts`. */
export const rate: Gate = {
  name: 'rate',
  uniform: false,
  judge: (_request, state) => {
    if (state.rate.allowed) return pass;
    return {
      verdict: 'deny',
      code: 'rate_limited',
      reason: state.rate.bound ?? 'client',
      retryAfter: state.rate.retryAfter,
    };
  },
};

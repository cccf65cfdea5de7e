import { isLatchkeyError } from '../../platform/errors.ts';
import { Refusals } from '../access/refusals.ts';
import { REVOKED } from './install-token.ts';

/** What tells that somebody guesses. Who shows a token that was good once had it from somebody. */
const GUESSES = ['invalid_token', 'token_not_found'] as const;

/** Refuses install tokens that never were any, and tells a source that shows ever others to wait. */
export class TokenRefusals {
  readonly #refusals: Refusals;

  constructor(parts: ConstructorParameters<typeof Refusals>[0]) {
    this.#refusals = new Refusals(parts, 'install_token_refused');
  }

  /** Does the work that a token was shown for. Throws what it throws, or `too_many_requests` (429) in its place. */
  async guard<T>(source: string, shown: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const code = GUESSES.find((one) => isLatchkeyError(error, one));
      if (code === undefined || !isLatchkeyError(error)) throw error;
      throw await this.#refusals.refuse(source, shown, error.cause === REVOKED ? 'token_revoked' : code, error);
    }
  }
}

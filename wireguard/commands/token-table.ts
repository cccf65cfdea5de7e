import { showTime } from '../../platform/command-io.ts';
import { type InstallToken, tokenState } from '../spokes/install-token.ts';
import { FixedTable } from './fixed-table.ts';
import { bareAddress } from './peer-words.ts';

/** The lines of a list of invitations that fits 80 columns. */
export class TokenTable {
  readonly #now: number;
  readonly #table: FixedTable = new FixedTable([
    { label: 'NAME', width: 16, isCut: true },
    { label: 'FOR', width: 8 },
    { label: 'ADDRESS', width: 15 },
    { label: 'STATUS', width: 7 },
    { label: '', width: 26 },
  ]);

  constructor(now: number) {
    this.#now = now;
  }

  header(): string {
    return this.#table.header();
  }

  row(token: InstallToken): string {
    const { spokeName, platform, fetchedPlatform, addresses } = token;
    const address = bareAddress(addresses[0] ?? '');
    return this.#table.row([spokeName, fetchedPlatform ?? platform ?? 'any', address, ...this.#state(token)]);
  }

  /** What became of it, and since when or until when. */
  #state(token: InstallToken): [string, string] {
    const { expiresAt, fetchedAt, registeredAt, endedAt } = token;
    const state = tokenState(token, this.#now);
    if (state === 'unused') return [state, `until ${showTime(expiresAt)}`];
    if (state === 'used') {
      return registeredAt === null ? ['fetched', showTime(fetchedAt)] : ['joined', showTime(registeredAt)];
    }
    return [state, showTime(state === 'expired' ? expiresAt : endedAt)];
  }
}

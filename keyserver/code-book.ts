import type { RandomBytes } from '../platform/clock.ts';
import { type TotpCode, totpCodes, totpStep } from '../platform/totp.ts';

/** Under which name the codes of the secret are kept that a client changes to. */
export function nextPage(client: string): string {
  return `${client}|next`;
}

interface Page {
  readonly sealed: Uint8Array;
  readonly step: number;
  readonly codes: readonly TotpCode[];
}

const pageLimit = 10_000;

/**
 * The TOTP codes that are good right now, worked out once per client and step: unsealing the secret and three HMACs cost
 * more than everything else a request does. A changed secret or a new step turns the page.
 */
export class CodeBook {
  readonly #pages: Map<string, Page> = new Map();
  readonly #strangerSecret: Buffer;

  constructor(random: RandomBytes) {
    this.#strangerSecret = random(20);
  }

  /** Codes of a client's sealed secret; `open` unseals it when the page is not there. */
  codesOf(client: string, sealed: Uint8Array, open: () => Uint8Array, now: number): readonly TotpCode[] {
    const step = totpStep(now);
    const page = this.#pages.get(client);
    if (page !== undefined && page.step === step && Buffer.compare(page.sealed, sealed) === 0) return page.codes;
    const codes = totpCodes(open(), now);
    this.#pages.delete(client);
    this.#pages.set(client, { sealed, step, codes });
    const oldest = this.#pages.keys().next();
    if (this.#pages.size > pageLimit && oldest.done === false) this.#pages.delete(oldest.value);
    return codes;
  }

  /** Codes that `codesOf` gave for this client in this step, of the secret it changes to as well; none when it was not asked. */
  knownCodes(client: string, now: number): readonly TotpCode[] {
    return [client, nextPage(client)].flatMap((name) => {
      const page = this.#pages.get(name);
      return page !== undefined && page.step === totpStep(now) ? page.codes : [];
    });
  }

  /** Codes nobody has, so that an unknown client is compared like any other. */
  strangerCodes(now: number): readonly TotpCode[] {
    return this.codesOf('', this.#strangerSecret, () => this.#strangerSecret, now);
  }
}

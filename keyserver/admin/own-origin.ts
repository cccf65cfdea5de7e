import { authorityOf } from '../../platform/listening/listen-address.ts';
import type { Config } from '../config.ts';

type Headers = Readonly<Record<string, string | undefined>>;

/**
 * Whether a request was meant for this server and comes from a page of its own. The `Host` must be a name in the
 * server's certificate: a name of somebody else that was made to point here (DNS rebinding) gets nothing. A form must
 * say by `Origin` that a page of this server sent it, and a browser that tells more (`Sec-Fetch-Site`) must say the same.
 */
export class OwnOrigin {
  readonly #authorities: ReadonlySet<string>;

  constructor({ hosts, listen }: Pick<Config, 'hosts' | 'listen'>) {
    const names = hosts.map((host) => host.toLowerCase());
    const authorities = names.map((host) => authorityOf(host, listen.port));
    // the port of https is left out by browsers
    const bare = listen.port === 443 ? names.map((host) => authorityOf(host, 443).replace(/:443$/, '')) : [];
    this.#authorities = new Set([...authorities, ...bare]);
  }

  isOwnHost(headers: Headers): boolean {
    return this.#authorities.has(headers.host?.toLowerCase() ?? '');
  }

  isOwnForm(headers: Headers): boolean {
    const site = headers['sec-fetch-site'];
    if (site !== undefined && site !== 'same-origin') return false;
    return this.isOwnHost(headers) && headers.origin === `https://${headers.host?.toLowerCase()}`;
  }
}

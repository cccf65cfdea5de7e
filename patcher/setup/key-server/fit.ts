import { authorityOf } from '../../../platform/listening/listen-address.ts';
import type { Agreement } from '../agreement.ts';
import type { KeyServerListening } from './key-server-commands.ts';

/** Why a key server that is there is not the one that was agreed on. */
export interface Misfit {
  /** As the setup's configuration calls it. */
  readonly field: string;
  readonly words: string;
  readonly hint: string;
}

/** Pure: `null` where a key server that is there can be used as it is. */
export function misfitOf(
  { listen, hosts, data }: Agreement['keyServer'],
  present: KeyServerListening,
  sealedWith: string,
): Misfit | null {
  const change = (words: string): string =>
    `if it may be changed: keyserver listen ${words} --data ${data}, and start it again`;
  if (present.transport !== 'tls') {
    return {
      field: 'keyServer.data',
      words: 'it speaks without TLS',
      hint: 'name another data directory: "keyServer.data"',
    };
  }
  if (present.listen.port !== listen.port) {
    return {
      field: 'keyServer.port',
      words: `it listens on port ${present.listen.port}, not ${listen.port}`,
      hint: `say "keyServer.port": ${present.listen.port}; ${change(authorityOf(listen.host, listen.port))}`,
    };
  }
  if (present.listen.host !== listen.host) {
    return {
      field: 'keyServer.data',
      words: `it listens on ${present.listen.host}, not ${listen.host}`,
      hint: `to have this setup speak otherwise: ncpatch tunnel use wireguard|ssh|both; ${change(authorityOf(listen.host, listen.port))}`,
    };
  }
  const missing = hosts.filter((host) => !present.hosts.includes(host));
  if (missing.length > 0) {
    return {
      field: 'keyServer.data',
      words: `its certificate does not name ${missing.join(', ')}`,
      hint: change(`--host ${[...new Set([...present.hosts, ...hosts])].join(' ')}`),
    };
  }
  if (sealedWith !== 'keyfile') {
    return {
      field: 'keyServer.keyfile',
      words: `its vault is not opened by a key file, but by ${sealedWith}`,
      hint: 'start it at boot as its README says, then run this again; or: keyserver vault rekey --new-keyfile FILE',
    };
  }
  return null;
}

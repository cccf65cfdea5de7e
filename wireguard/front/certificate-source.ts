import type { Clock, RandomBytes } from '../../platform/clock.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { certificateEnd, hostsIn, type Identity, isKeyOf } from '../../platform/listening/identity.ts';
import type { Store } from '../../platform/store.ts';
import type { HubConfig } from '../data/hub-config.ts';
import { HUB } from '../hub/actor.ts';
import type { HubDatabase } from '../store/schema.ts';
import type { Seal } from '../store/seal.ts';
import { type CertificateFiles, markOf, readCertificateFiles } from './certificate-files.ts';
import { hostsOf } from './hub-url.ts';
import { makeOwnCertificate, openOwnKey, readOwnCertificate, sealedOwnKey } from './own-certificate.ts';

const day = 86_400_000;
/** With less left the hub makes its own certificate anew, with the key it has. */
const renewalDays = 30;

/** Where a hub's certificate comes from. */
export interface CertificateSource {
  /** Nobody vouches for it but its own key, which clients have to know. */
  readonly isOwn: boolean;
  /** Another text when there may be another certificate. */
  mark(): Promise<string>;
  /** The certificate to serve with. Throws when it cannot be served with. */
  read(): Promise<Identity>;
}

/** A pair of files that somebody else renews. */
function filesSource(files: CertificateFiles): CertificateSource {
  return { isOwn: false, mark: async () => markOf(files), read: async () => readCertificateFiles(files) };
}

export interface OwnSourceDeps {
  readonly config: HubConfig;
  readonly directory: string;
  readonly store: Store<HubDatabase>;
  readonly vault: Seal;
  readonly clock: Clock;
  readonly random: RandomBytes;
}

/**
 * The hub's own: its key is in the vault, the certificate beside it in `tls.pem`. That is made anew when it is gone (as after a
 * restore), of another key (which another hub on the database may have made) or about to end.
 */
function ownSource(deps: OwnSourceDeps): CertificateSource {
  const { store, directory, clock } = deps;
  const look = async () => ({ sealed: await store.read(sealedOwnKey), certificate: readOwnCertificate(directory) });
  return {
    isOwn: true,
    mark: async () => {
      const { sealed, certificate } = await look();
      // what could not be renewed is tried again within the hour
      const due = certificate !== null && isDue(certificate, clock.now()) ? Math.floor(clock.now() / 3_600_000) : '';
      return `${sealed?.toString('base64')} ${certificate} ${due}`;
    },
    read: async () => {
      const { sealed, certificate } = await look();
      if (sealed === null) throw noCertificate();
      const privateKey = openOwnKey(deps.vault, sealed);
      const isGood = certificate !== null && isKeyOf(certificate, privateKey) && !isDue(certificate, clock.now());
      if (isGood) return { certificate, privateKey };
      const hosts = certificate === null ? hostsOf(deps.config) : hostsIn(certificate);
      if (hosts.length === 0) throw noCertificate();
      return makeOwnCertificate(deps, { hosts, newKey: false, by: HUB, now: clock.now() }, deps.random);
    },
  };
}

/** Where the certificate of a hub comes from by its config; `null` without TLS. */
export function sourceFor(deps: OwnSourceDeps): CertificateSource | null {
  const { tls } = deps.config;
  if (tls === null) return null;
  return tls.source === 'files' ? filesSource(tls) : ownSource(deps);
}

function isDue(certificate: string, now: number): boolean {
  return certificateEnd(certificate) - now <= renewalDays * day;
}

/** The refusal of a hub that is to serve with a certificate of its own and has none. */
export function noCertificate(): LatchkeyError {
  return new LatchkeyError('tls_missing', 'the hub has no certificate of its own', {
    hint: 'make one: wghub tls make --data DIR --name HOST',
  });
}

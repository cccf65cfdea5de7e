import { createPrivateKey } from 'node:crypto';
import { pinOf } from '../../platform/listening/identity.ts';
import type { Store } from '../../platform/store.ts';
import type { HubConfig } from '../data/hub-config.ts';
import type { HubDatabase } from '../store/schema.ts';
import type { Seal } from '../store/seal.ts';
import { noCertificate } from './certificate-source.ts';
import { openOwnKey, sealedOwnKey } from './own-certificate.ts';

/**
 * What clients have to know the hub by when nobody else vouches for it: `sha256//BASE64` of its public key, as curl takes it
 * (`--pinnedpubkey`). `null` where its certificate is not its own, and another authority's word is good. Throws `tls_missing`.
 */
export async function tlsPin({
  config,
  store,
  vault,
}: {
  readonly config: Pick<HubConfig, 'tls'>;
  readonly store: Store<HubDatabase>;
  readonly vault: Seal;
}): Promise<string | null> {
  if (config.tls?.source !== 'own') return null;
  const sealed = await store.read(sealedOwnKey);
  if (sealed === null) throw noCertificate();
  return pinOf(createPrivateKey({ key: openOwnKey(vault, sealed), format: 'der', type: 'pkcs8' }));
}

import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { isLatchkeyError } from '../../platform/errors.ts';
import type { HubData } from '../data/hub-data.ts';
import { certificateFacts } from '../front/certificate-facts.ts';
import { readCertificateFiles } from '../front/certificate-files.ts';
import { noCertificate } from '../front/certificate-source.ts';
import { readOwnCertificate } from '../front/own-certificate.ts';
import type { FrontLook } from './front-findings.ts';

/** Looks at what a hub shows to the internet. The vault is not needed. */
export function lookAtFront({ config, directory }: HubData, now: number): FrontLook {
  const { publicUrl, proxies } = config;
  return { now, directory, publicUrl, proxies, certificate: certificateLook(config, directory) };
}

function certificateLook(
  { tls, publicUrl }: Pick<HubData['config'], 'tls' | 'publicUrl'>,
  directory: string,
): FrontLook['certificate'] {
  if (tls === null) return null;
  const { source } = tls;
  try {
    const pem = tls.source === 'own' ? readOwnCertificate(directory) : readCertificateFiles(tls).certificate;
    if (pem === null) throw noCertificate();
    const { hosts, until } = certificateFacts(pem);
    return { source, hosts, until, isForUrl: publicUrl === null || isFor(pem, publicUrl) };
  } catch (error) {
    if (!isLatchkeyError(error)) throw error;
    return { source, message: error.message, hint: error.hint ?? 'see "tls" in config.json' };
  }
}

function isFor(pem: string, url: string): boolean {
  const host = new URL(url).hostname.replace(/^\[|\]$/g, '');
  const certificate = new X509Certificate(pem);
  return (isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host)) !== undefined;
}

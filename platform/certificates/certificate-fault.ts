/** True for the code of an error by which TLS says that it does not trust a certificate: OpenSSL's verification, and Node's check of the name. */
export function isCertificateFault(code: string): boolean {
  return /CERT|SELF_SIGNED|UNABLE_TO|ALTNAME/.test(code);
}

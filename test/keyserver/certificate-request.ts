import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../platform/run.ts';

/** A key and the certificate to it, PEM. */
export interface KeyPair {
  readonly key: string;
  readonly certificate: string;
}

/** A new P-256 key and a request for a certificate, by OpenSSL. */
export async function newRequest(): Promise<{ readonly key: string; readonly csr: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-csr-'));
  try {
    const key = join(folder, 'key');
    const argv = ['-new', '-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-subj', '/CN=x'];
    const { stdout } = await run(['openssl', 'req', ...argv, '-keyout', key], { timeoutMs: 30_000 });
    return { key: readFileSync(key, 'utf8'), csr: stdout.toString() };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { createServer as createTlsServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { run } from '../../platform/run.ts';
import type { Cleanup } from '../harness/cleanup.ts';
import { StateFolder } from './state-folder.ts';

/** What a key server answers to a heartbeat that is well. */
export const good = `{"state":"ok","policy":{"ttl":1,"staleIfError":1},"head":{"seq":7,"hash":"${'a'.repeat(64)}"}}`;

export type Answering = Parameters<RequestListener>[1];

export function json(response: Answering, status: number, body: string | Buffer): void {
  response.writeHead(status, { 'Content-Type': 'application/json; charset=utf-8' }).end(body);
}

export function problem(response: Answering, status: number, code: string): void {
  const body = JSON.stringify({ type: 'about:blank', title: code, status, code, detail: code });
  response.writeHead(status, { 'Content-Type': 'application/problem+json' }).end(body);
}

/** A host in a folder of that name below `base`, whose name needs quoting; no key server knows it. */
export function invented(base: string, number: number, url = 'https://h', ca = 'no certificate'): StateFolder {
  const secret = (): string => randomBytes(32).toString('base64url');
  const credentials = { clientId: `lk-${number}`, token: secret(), totpSecret: 'MZXW6YTB', link: secret(), grant: '' };
  return StateFolder.make(join(base, `a host's "own" $(id) ${number}-${secret().slice(0, 6)}`), credentials, {
    url,
    ca,
  });
}

/** A stand-in for the key server, with TLS 1.3 and a certificate that the folder trusts, and that answers as told. */
export async function standIn(
  listener: RequestListener,
  cleanup: Cleanup,
  base: string,
  onBody: (text: string) => void = () => undefined,
): Promise<StateFolder> {
  const { certificate, key } = await selfSigned(base, '127.0.0.1');
  const options = {
    cert: certificate,
    key,
    minVersion: 'TLSv1.3' as const,
    requestCert: true,
    rejectUnauthorized: false,
  };
  const server: Server = createTlsServer(options, (request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => {
      body += text;
    });
    request.on('end', () => {
      onBody(body);
      listener(request, response as Answering);
    });
  });
  server.keepAliveTimeout = 100;
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  cleanup.add('stand-in', () => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return invented(base, port, `https://127.0.0.1:${port}`, certificate);
}

const made = new Map<string, { certificate: string; key: string }>();

/** A certificate for that name, and its key; the same each time. */
export async function selfSigned(base: string, name: string): Promise<{ certificate: string; key: string }> {
  const known = made.get(name);
  if (known !== undefined) return known;
  const folder = mkdtempSync(join(base, 'tls-'));
  const [keyFile, certificateFile] = [join(folder, 'key'), join(folder, 'certificate')];
  const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2'];
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await run(['openssl', 'req', ...kind, ...subject, '-keyout', keyFile, '-out', certificateFile], {
    timeoutMs: 20_000,
  });
  const pair = { certificate: readFileSync(certificateFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
  made.set(name, pair);
  return pair;
}

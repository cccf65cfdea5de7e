import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

export interface OddServer {
  readonly port: number;
  /** `METHOD path` of what arrived, oldest first. */
  readonly heard: readonly string[];
  stop(): Promise<void>;
}

type Handler = (incoming: IncomingMessage, outgoing: ServerResponse) => void;

/** Stands in for a hub, or for what a client may find in a hub's place; with a certificate, by HTTPS. */
export async function oddServer(
  handler: Handler,
  tls?: { readonly key: string; readonly cert: string },
): Promise<OddServer> {
  const heard: string[] = [];
  const listener: Handler = (incoming, outgoing) => {
    heard.push(`${incoming.method} ${incoming.url}`);
    handler(incoming, outgoing);
  };
  const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    heard,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Hands everything on to a hub, as the web server before it does. */
export function handingOn(port: number): Handler {
  return (incoming, outgoing) => {
    const { method, url: path, headers } = incoming;
    const onward = request({ host: '127.0.0.1', port, method, path, headers, agent: false }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    incoming.pipe(onward);
  };
}

/** Answers with this. */
export function saying(status: number, type: string, body: string, headers: Record<string, string> = {}): Handler {
  return (_, outgoing) => outgoing.writeHead(status, { 'Content-Type': type, ...headers }).end(body);
}
